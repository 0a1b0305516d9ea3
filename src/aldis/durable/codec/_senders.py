"""Write and read senders.

A sender is written as

- ``null``, a string or an integer: itself, or the plain value of a subclass such as ``StrEnum``,
- ``{"app": name}``: the app; the receiver gets the worker's own app,
- ``{"object": name}``: an object that was registered under that name,
- ``{"row": name, "key": […]}``: a mapped instance of a class that the sender's annotation names.

A recorded name is never imported or looked up elsewhere.
"""

from __future__ import annotations

from types import UnionType
from typing import Any, Final, Union, get_args, get_origin
from weakref import WeakValueDictionary

from aldis.core.process import ForkSafeLock
from aldis.durable.codec._annotations import Unresolved, bare
from aldis.durable.codec._codecs import INT, SCALARS, Loader, behind_proxy, union
from aldis.durable.codec._errors import reject_raw, type_name, with_article
from aldis.durable.codec._rows import mapper_of, row
from aldis.errors import InvalidNameError, PayloadError, PayloadMismatchError, PayloadTypeError

_registering = ForkSafeLock()
_objects: dict[str, object] = {}
_names: dict[int, str] = {}
_apps: WeakValueDictionary[int, Any] = WeakValueDictionary()

#: An object of these types is never the app, a row or a registered object.
_VALUES: Final = (
    *(each for each in SCALARS if each not in (str, int, type(None))),
    *(complex, bytearray, list, tuple, set, frozenset, dict),
)


def register_sender(name: str, sender: object) -> None:
    """Let durable receivers get an object as the sender.

    The object is recorded by its name, so the worker must import the module that registers it. An
    object can have several names, for example after a renaming. The first name is recorded.

    Args:
        name: The name of the object, from now on.
        sender: The object. It is never released.

    Raises:
        InvalidNameError: The name is empty or belongs to another object, or ``sender`` is None, a
            str or an int, which need no name.
    """
    if not name:
        raise InvalidNameError("the name of a sender is empty: give it a name that will not change")
    # Not isinstance(), which asks the object's ``__class__``: a mock of a str is not one.
    if sender is None or issubclass(type(sender), (str, int)):
        message = f"a sender that is {type(sender).__name__} needs no name: None, str and int "
        raise InvalidNameError(f"{message}are recorded as they are (and bool cannot be)")
    with _registering.lock:
        known = _objects.setdefault(name, sender)
        if known is not sender:
            raise InvalidNameError(f"the sender {name!r} is already {known!r}, not {sender!r}")
        _names.setdefault(id(sender), name)


def add_app(app: object) -> None:
    """Declare that an object is the app. aldis recognises the apps of Flask and Quart itself.

    Args:
        app: The app. It is held weakly.

    Raises:
        PayloadTypeError: The app cannot be weakly referenced.
    """
    try:
        _apps[id(app)] = app
    except TypeError as error:
        message = f"{app!r} cannot be weakly referenced; call register_sender(name, app) instead"
        raise PayloadTypeError(message) from error


class SenderCodec:
    """Writes and reads the senders of one signal. ``hint`` names the mapped classes."""

    def __init__(self, hint: Any) -> None:
        self._reason = f" (it is {hint})" if isinstance(hint, Unresolved) else ""
        members = _members(hint)
        mapped = [(each, mapper_of(each)) for each in members]
        rows = [row(each, mapper) for each, mapper in mapped if mapper is not None]
        self._row = union([*rows]) if rows else None
        if members and all((get_origin(each) or each) in _VALUES for each in members):
            raise PayloadTypeError(
                f"is {' | '.join(map(type_name, members))}, which cannot be encoded: a sender is "
                "None, a str, an int, the app, a mapped instance, or an object that was given to "
                "register_sender"
            )

    def dump(self, sender: Any) -> Any:  # noqa: PLR0911 - one for each kind of sender
        """Return what msgspec encodes for a sender."""
        kind = type(sender)
        if kind is str or sender is None:
            return sender
        if kind is int:
            return INT.dump(sender)
        sender = behind_proxy(sender)
        if id(sender) in _names:
            return {"object": _names[id(sender)]}
        is_app = callable(sender) and isinstance(getattr(sender, "import_name", None), str)
        if is_app or _apps.get(id(sender)) is sender:
            return {"app": getattr(sender, "import_name", None) or type(sender).__name__}
        if issubclass(kind := type(sender), str):
            return str.__str__(sender)
        if issubclass(kind, int) and kind is not bool:
            return INT.dump(int.__int__(sender))
        if mapper_of(type(sender)) is None:
            raise PayloadError(
                f"is {with_article(type(sender))}, which cannot be encoded: send None, a str or an "
                "int, or name it with aldis.durable.register_sender"
            )
        if self._row is None:
            raise PayloadError(
                f"is a mapped {type(sender).__qualname__}, but the sender's annotation does not "
                f"name that class{self._reason}: declare it in the signal's contract, or in the "
                "function of payload="
            )
        return self._row.dump(sender)

    def load(self, raw: Any, loader: Loader) -> Any:
        """Return the sender for a JSON value."""
        if raw is None or type(raw) is str or type(raw) is int:
            return raw
        keys = set(raw) if type(raw) is dict else set()
        if "row" in keys:
            if self._row is not None:
                return self._row.load(raw, loader)
            message = f"is a row of {raw['row']!r:.50}, which the sender's annotation does not name"
            raise PayloadMismatchError(message)
        if keys == {"app"}:
            if loader.app is None:
                message = "is the app, but the worker has no app: start it with --app"
                raise PayloadMismatchError(message)
            return loader.app
        if keys == {"object"}:
            if not isinstance(raw["object"], str) or raw["object"] not in _objects:
                raise PayloadMismatchError(
                    f"is the object {raw['object']!r:.50}, which is not registered here: import "
                    "the module that calls register_sender for it"
                )
            return _objects[raw["object"]]
        return reject_raw(raw, frozenset(), "sender")


def _members(hint: Any) -> list[Any]:
    hint = bare(hint)
    if get_origin(hint) in (Union, UnionType):
        return [member for each in get_args(hint) for member in _members(each)]
    return [] if hint is None or isinstance(hint, Unresolved) else [hint]
