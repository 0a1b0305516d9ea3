"""Leaving every subscription as it was found."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final
from weakref import ref

from aldis.core.namespace import namespaces
from aldis.core.registry import CONNECT, Connection, Registry
from aldis.core.signal import Signal

__all__ = ["restored_subscriptions"]


@contextmanager
def restored_subscriptions() -> Generator[None, None, None]:
    """Undo, when a ``with`` block ends, what was connected and disconnected in it.

    All signals are looked at, whoever made them and whether they have a name. What was disconnected
    is connected again, in its place, if its receiver and sender are still alive. What a module
    connects of its own functions when it is imported for the first time stays: it will not be
    imported again. A subscription whose handle was made before the block and that was disconnected
    in it without the handle is gone for good. Nobody is told by ``receiver_connected`` and
    ``receiver_disconnected``. The names of durable receivers are free again, too.
    """
    modules = set(sys.modules)
    durable_receivers = _durable_receivers()
    durable_before = durable_receivers.receivers_by_name() if durable_receivers else {}
    pictures = {id(signal): _Picture(signal) for signal in _signals()}
    try:
        yield
    finally:
        imported = _globals_of(set(sys.modules) - modules)
        for signal in _signals():
            picture = pictures.get(id(signal))
            if picture is None or picture.signal() is not signal:
                picture = _EMPTY
            picture.restore(signal, imported)
        durable_receivers = _durable_receivers()
        if durable_receivers:
            durable_receivers.restore_receivers(durable_before, imported)


def _durable_receivers() -> Any:
    """Return the module that knows the durable receivers, if anybody has imported it."""
    return sys.modules.get("aldis.durable.receiver")


def _signals() -> list[Signal[..., Any]]:
    """Find every signal that is alive; the collector knows those without a name, too."""
    # Not isinstance: a proxy may have no object behind it. By id, because there may be a million
    # objects, and a class may have a metaclass whose instances cannot be hashed.
    classes = set(map(id, _classes(Signal)))
    found = [each for each in gc.get_objects() if id(type(each)) in classes]
    for namespace in namespaces():  # of those that gc.freeze took out of its sight
        found += namespace.values()
    return list({id(each): each for each in found}.values())


def _classes(base: type) -> Generator[type, None, None]:
    """Yield a class and its subclasses."""
    yield base
    subclasses: list[type] = type.__subclasses__(base)
    for each in subclasses:
        yield from _classes(each)


def _globals_of(modules: set[str]) -> set[int]:
    """Return the identities of all that these modules define."""
    return {
        id(value)
        for name in modules
        for value in list(getattr(sys.modules.get(name), "__dict__", {}).values())
    }


class _Place:
    """One connection as it was: enough to make it again, holding on to no more than it did."""

    def __init__(self, link: Connection) -> None:
        self.link = link
        self.owners = [owner for owner, _ in link.owners]
        self.weak = link.owned_weakly(CONNECT)
        self._held = link.keep
        self._ref = link.ref
        self._shape = link.resolver
        self._sender = link.sender

    def has_owner(self, owner: object) -> bool:
        """Tell whether ``owner`` owned it."""
        return any(each is owner for each in self.owners)

    def find(self) -> tuple[Any, Any] | None:
        """Return the receiver and the sender, or ``None`` if one is dead."""
        sender = self._sender.get()
        receiver = self._held
        if receiver is None:
            receiver = self._ref()
            if receiver is not None and self._shape is not None:
                receiver, _ = self._shape(receiver) or (None, None)
        return None if receiver is None or sender is None else (receiver, sender)


class _Picture:
    """The connections of one signal at one moment; without a signal, that there were none."""

    def __init__(self, signal: Signal[..., Any] | None = None) -> None:
        self.signal: Callable[[], Any] = lambda: None
        self._places: list[_Place] = []
        if signal is not None:
            self.signal = ref(signal)
            self._places = [_Place(link) for link in _registry(signal).all()]

    def restore(self, signal: Signal[..., Any], imported: set[int]) -> None:
        """Make it true again of ``signal``, but for what is ``imported``."""
        registry = _registry(signal)
        known = {id(each.link) for each in self._places}
        for link in registry.all():
            pair = link.resolve()
            if id(link) not in known and not (pair and id(pair[0]) in imported):
                _disown(registry, link, link.owners)
        moved = False
        for place in self._places:
            moved = _put_back(registry, place, moved=moved) or moved


_EMPTY: Final = _Picture()


def _registry(signal: Signal[..., Any]) -> Registry:
    return signal._registry  # noqa: SLF001 - part of the same engine


def _disown(registry: Registry, link: Connection, owners: Iterable[tuple[object, bool]]) -> None:
    for owner, _ in owners:
        registry.disown(link, owner)


def _put_back(registry: Registry, place: _Place, *, moved: bool) -> bool:
    """Connect what was connected, as it was; tell whether it now comes behind all others.

    Behind one that had to be connected anew, whatever ``connect`` made is connected anew as well,
    to keep the order. What has a handle stays where it is, or the handle would be void; and one
    whose handle is void already is not connected again.
    """
    link = place.link
    _disown(registry, link, [each for each in link.owners if not place.has_owner(each[0])])
    stays = link.live and not moved
    if place.weak is None or (stays and link.owned_weakly(CONNECT) == place.weak):
        return False
    found = place.find()
    if found is None:
        return False
    receiver, sender = found
    if not stays:
        registry.disown(link, CONNECT)
    registry.connect(receiver, sender, weak=place.weak, owner=CONNECT)
    return not stays
