"""Restores all subscriptions after a test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final
from weakref import ref

from aldis.core.process import lock_holders
from aldis.core.registry import CONNECT, Connection, Registry, UidOwner, sender_of
from aldis.core.signal import Signal

__all__ = ["restored_subscriptions"]


@contextmanager
def restored_subscriptions() -> Generator[None, None, None]:
    """Restore all subscriptions of all signals at the end of a ``with`` block.

    Receivers that were connected in the block are disconnected. Receivers that were disconnected in
    it are connected again in their old order, if they and their senders are still alive.

    - If a module is imported for the first time in the block, the subscriptions to its own
      functions stay, because it will not be imported again.
    - A subscription with a handle from before the block that was disconnected without the handle is
      not restored.
    - ``receiver_connected`` and ``receiver_disconnected`` are not sent.
    - The names of durable receivers from the block are free again.
    """
    modules = set(sys.modules)
    durable_receivers = _durable_receivers()
    durable_before = durable_receivers.receivers_by_name() if durable_receivers else {}
    snapshots = {id(signal): _Snapshot(signal) for signal in _signals()}
    try:
        yield
    finally:
        imported = _globals_of(set(sys.modules) - modules)
        for signal in _signals():
            snapshot = snapshots.get(id(signal))
            if snapshot is None or snapshot.signal() is not signal:
                snapshot = _EMPTY
            snapshot.restore(signal, imported)
        durable_receivers = _durable_receivers()
        if durable_receivers:
            durable_receivers.restore_receivers(durable_before, imported)


def _durable_receivers() -> Any:
    """Return the module of the durable receivers, if it is imported."""
    return sys.modules.get("aldis.durable.receiver")


def _signals() -> list[Signal[..., Any]]:
    """Return all living signals, including those without a name."""
    registries = [each for each in lock_holders() if isinstance(each, Registry)]
    signals = [signal for each in registries if (signal := each.signal_ref()) is not None]
    return list({id(signal): signal for signal in signals}.values())  # some had several registries


def _globals_of(modules: set[str]) -> set[int]:
    """Return the ids of all objects that these modules define."""
    return {
        id(value)
        for name in modules
        for value in list(getattr(sys.modules.get(name), "__dict__", {}).values())
    }


class _SavedConnection:
    """One connection, with everything to make it again. It holds no more objects than that does."""

    def __init__(self, link: Connection) -> None:
        self.link = link
        self.owners = [owner for owner, _ in link.owners]
        #: The owners without a handle: those of ``connect``, each with whether it is weak.
        self.by_connect = [
            (owner, weak)
            for owner, weak in link.owners
            if owner is CONNECT or type(owner) is UidOwner
        ]
        self._held = link.keep
        self._ref = link.ref
        self._shape = link.resolver
        self._sender = link.sender

    def has_owner(self, owner: object) -> bool:
        """Return whether ``owner`` owned the connection."""
        return any(each is owner for each in self.owners)

    def find(self) -> tuple[Any, Any] | None:
        """Return the receiver and the sender, or ``None`` if one is dead."""
        sender = sender_of(self._sender)
        receiver = self._held
        if receiver is None:
            receiver = self._ref()
            if receiver is not None and self._shape is not None:
                receiver, _ = self._shape(receiver) or (None, None)
        return None if receiver is None or sender is None else (receiver, sender)


class _Snapshot:
    """The connections of one signal at one moment. Without a signal, it has no connections."""

    def __init__(self, signal: Signal[..., Any] | None = None) -> None:
        self.signal: Callable[[], Any] = lambda: None
        self._saved: list[_SavedConnection] = []
        self._table: Callable[[], Any] = lambda: None
        if signal is not None:
            self.signal = ref(signal)
            self._table = ref(signal.receivers)
            self._saved = [_SavedConnection(link) for link in _registry(signal).all()]

    def restore(self, signal: Signal[..., Any], imported: set[int]) -> None:
        """Restore the connections of ``signal``, and keep those of ``imported`` functions."""
        table = self._table()
        if table is not None:
            signal.receivers = table  # the test may have assigned another one
        registry = _registry(signal)
        known = {id(each.link) for each in self._saved}
        for link in registry.all():
            pair = link.resolve()
            if id(link) not in known and not (pair and id(pair[0]) in imported):
                _disown(registry, link, link.owners)
        moved = table is None  # the links belong to the registry of a table that is gone
        for saved in self._saved:
            moved = _reconnect(registry, saved, moved=moved) or moved


_EMPTY: Final = _Snapshot()


def _registry(signal: Signal[..., Any]) -> Registry:
    return signal._registry  # noqa: SLF001 - part of the same engine


def _disown(registry: Registry, link: Connection, owners: Iterable[tuple[object, bool]]) -> None:
    for owner, _ in owners:
        registry.disown(link, owner)


def _reconnect(registry: Registry, saved: _SavedConnection, *, moved: bool) -> bool:
    """Restore one connection; return whether it was made again, and so is the last one now.

    After a connection that was made again, those of ``connect`` are made again too, to keep the
    order. A connection of a handle stays, because the handle would not work any more. If its handle
    does not work already, it is not restored.
    """
    link = saved.link
    _disown(registry, link, [each for each in link.owners if not saved.has_owner(each[0])])
    stays = link.live and not moved
    wanted = saved.by_connect
    if not wanted or (stays and all(link.owned_weakly(each) == weak for each, weak in wanted)):
        return False
    found = saved.find()
    if found is None:
        return False
    receiver, sender = found
    if not stays:
        _disown(registry, link, wanted)
    for owner, weak in wanted:
        registry.connect(receiver, sender, weak=weak, owner=owner)
    return not stays
