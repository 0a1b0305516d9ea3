"""Who sent, on the way to a worker.

A sender is written as

- ``null``, a string or an integer: itself (of a subclass, as ``StrEnum``, its plain value),
- ``{"app": name}``: the app; the worker's own app receives it,
- ``{"object": name}``: what was registered under that name,
- ``{"row": name, "key": […]}``: a mapped instance, of a class that the sender's annotation names.

No name that was read is ever imported or looked up elsewhere.
"""

from __future__ import annotations

from threading import Lock
from types import UnionType
from typing import Any, Final, get_args, get_origin
from typing import Union as TypingUnion
from weakref import WeakValueDictionary

from aldis.durable.codec.hints import Unresolved
from aldis.durable.codec.rows import Row, is_mapped, mapper_of
from aldis.durable.codec.scalars import INT, SCALARS
from aldis.durable.codec.shape import Loader, Shape, behind, mismatch, name_of_type, with_article
from aldis.durable.codec.shapes import bare
from aldis.durable.codec.times import TIMES
from aldis.durable.codec.unions import union_of
from aldis.errors import (
    InvalidNameError,
    PayloadError,
    PayloadMismatchError,
    PayloadTypeError,
)

__all__ = ["Senders", "add_app", "register_sender"]

_lock = Lock()
_objects: dict[str, object] = {}
_names: dict[int, str] = {}
_apps: WeakValueDictionary[int, Any] = WeakValueDictionary()

#: Nothing of these types is ever the app, a row or a registered object.
VALUES: Final = (
    *(each for each in {**SCALARS, **TIMES} if each not in (str, int, type(None))),
    *(complex, bytearray, list, tuple, set, frozenset, dict),
)


def register_sender(name: str, sender: object) -> None:
    """Let an object be the sender of sends that are recorded for durable receivers.

    It travels by name, so the worker must import the module that registers it. An object may have
    several names, as after a renaming: the first is what is written.

    Args:
        name: What it is called from now on.
        sender: The object; it is held for good.

    Raises:
        InvalidNameError: The name is another object's, or none; or ``sender`` travels as it is.
    """
    if not name:
        raise InvalidNameError("a sender is registered by a name, and it is empty")
    if sender is None or isinstance(sender, (str, int)):
        message = f"a sender that is {type(sender).__name__} needs no name: None, str and int "
        raise InvalidNameError(f"{message}travel as they are (and bool cannot)")
    with _lock:
        known = _objects.setdefault(name, sender)
        if known is not sender:
            raise InvalidNameError(f"the sender {name!r} is {known!r} already, not {sender!r}")
        _names.setdefault(id(sender), name)


def add_app(app: object) -> None:
    """Say that an object is the app, for those that are not recognised: Flask's and Quart's are.

    Args:
        app: The app; it is held weakly.

    Raises:
        PayloadTypeError: The app cannot be weakly referenced.
    """
    try:
        _apps[id(app)] = app
    except TypeError as error:
        message = f"{app!r} cannot be weakly referenced; call register_sender(name, app) instead"
        raise PayloadTypeError(message) from error


def _is_app(sender: Any) -> bool:
    if _apps.get(id(sender)) is sender:
        return True
    return callable(sender) and isinstance(getattr(sender, "import_name", None), str)


class Senders:
    """How the senders of one signal travel.

    Args:
        hint: The annotation of the sender: its mapped classes can be senders.

    Raises:
        PayloadTypeError: No sender of that type can travel.
    """

    def __init__(self, hint: Any) -> None:
        self._unresolved = hint if isinstance(hint, Unresolved) else None
        members = _members(hint)
        mapped = [(each, mapper_of(each)) for each in members]
        rows: list[Shape] = [Row(each, mapper) for each, mapper in mapped if mapper is not None]
        self._rows = union_of(rows) if rows else None
        if members and all(_origin(each) in VALUES for each in members):
            raise PayloadTypeError(
                f"is {' | '.join(map(name_of_type, members))}, which cannot travel; "
                "senders that can are None, str, int, the app, a mapped instance, and an object "
                "that register_sender knows"
            )

    def dump(self, sender: Any) -> Any:
        """Return what is written for ``sender``.

        Raises:
            PayloadError: It cannot travel.
        """
        kind = type(sender)
        if kind is str or sender is None:
            return sender
        if kind is int:
            return INT.dump(sender)
        return self._dump_object(behind(sender))

    def _dump_object(self, sender: Any) -> Any:
        name = _names.get(id(sender))
        if name is not None:
            return {"object": name}
        if _is_app(sender):
            return {"app": getattr(sender, "import_name", None) or type(sender).__name__}
        if isinstance(sender, str):
            return str.__str__(sender)
        if isinstance(sender, int) and type(sender) is not bool:
            return INT.dump(int.__int__(sender))
        if is_mapped(sender):
            return self._dump_row(sender)
        raise PayloadError(
            f"is {with_article(type(sender))}, which cannot travel: send None, a str or an int, "
            "or name it with aldis.durable.register_sender"
        )

    def _dump_row(self, sender: Any) -> Any:
        if self._rows is not None:
            return self._rows.dump(sender)
        why = f" (it is {self._unresolved})" if self._unresolved else ""
        raise PayloadError(
            f"is a mapped {type(sender).__qualname__}, which the annotation of the sender does "
            f"not say{why}: declare it in the signal's contract, or in the function of payload="
        )

    def load(self, raw: Any, loader: Loader) -> Any:
        """Return the sender that ``raw`` was written for.

        Raises:
            PayloadMismatchError: There is none.
            LostRowError: It was a row that is gone.
        """
        if raw is None or type(raw) is str or type(raw) is int:
            return raw
        if type(raw) is dict:
            if "row" in raw and self._rows is not None:
                return self._rows.load(raw, loader)
            if set(raw) == {"app"}:
                return _app(loader)
            if set(raw) == {"object"}:
                return _object(raw["object"])
            if "row" in raw:
                message = f"is a row of {raw['row']!r:.50}, which its annotation does not say"
                raise PayloadMismatchError(message)
        return mismatch(raw, "sender")


def _app(loader: Loader) -> Any:
    if loader.app is None:
        raise PayloadMismatchError("is the app, and the worker has none: start it with --app")
    return loader.app


def _object(name: Any) -> Any:
    if type(name) is not str or name not in _objects:
        raise PayloadMismatchError(
            f"is the object {name!r:.50}, which nobody has registered here: import the module "
            "that calls register_sender for it"
        )
    return _objects[name]


def _members(hint: Any) -> list[Any]:
    hint = bare(hint)
    if get_origin(hint) in (TypingUnion, UnionType):
        return [member for each in get_args(hint) for member in _members(each)]
    return [] if hint is None or isinstance(hint, Unresolved) else [hint]


def _origin(hint: Any) -> Any:
    return get_origin(hint) or hint
