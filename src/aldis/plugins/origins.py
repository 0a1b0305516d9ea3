"""Finds the plugin that connected a receiver."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary, ref

from aldis.core.explain import Row, explain
from aldis.core.receiver import receiver_key
from aldis.core.registry import source_key
from aldis.core.sender import ANY, senders_of
from aldis.core.signal import Signal, Subscription

__all__ = ["Key", "Origin", "forget", "key_of", "link_key", "origin_of", "origins", "remember"]

#: Identifies a subscription of a signal: the key of the receiver and the key of the sender.
Key = tuple[object, object]


class Unit(Protocol):
    """An object that connects receivers for a plugin."""

    @property
    def plugin(self) -> str | None:
        """The name of the plugin."""

    def keys_for(self, signal: Signal[..., Any]) -> Iterable[Key]:
        """Return the keys of its subscriptions of ``signal``."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One subscription, and the plugins that made it.

    Attributes:
        row: The subscription, as ``Signal.explain`` shows it.
        plugins: The names of the plugins that connected it, in order. It is empty if no plugin
            did.
    """

    row: Row
    plugins: tuple[str, ...]


#: For each signal, the units that have connected receivers to it, in order.
_units: WeakKeyDictionary[Signal[..., Any], dict[int, ref[Unit]]] = WeakKeyDictionary()


def remember(unit: Unit, signals: Iterable[Signal[..., Any]]) -> None:
    """Record that ``unit`` has connected receivers to ``signals``."""
    for signal in signals:
        _note(_units.setdefault(signal, {}), unit)


def _note(units: dict[int, ref[Unit]], unit: Unit) -> None:
    key = id(unit)
    units[key] = ref(unit, lambda _: units.pop(key, None))


def forget(unit: Unit, signals: Iterable[Signal[..., Any]]) -> None:
    """Record that ``unit`` has disconnected its receivers from ``signals``."""
    for signal in signals:
        _units.get(signal, {}).pop(id(unit), None)


def key_of(receiver: Any, sender: Any, *, subclasses: bool = False) -> Key:
    """Return the key of the subscription of ``receiver`` for ``sender``.

    Args:
        receiver: The receiver.
        sender: The sender.
        subclasses: Whether the sender is a class that stands for its subclasses, too.

    Raises:
        UnboundSenderError: ``sender`` is a proxy without an object behind it.
    """
    [target] = senders_of(sender, None, subclasses)
    return receiver_key(receiver), ANY if target is ANY else source_key(target)


def link_key(handle: Subscription) -> Key:
    """Return the key of the subscription that ``handle`` holds."""
    link = handle._link  # noqa: SLF001 - part of the same engine
    return link.receiver.key, link.sender.key


def origin_of(signal: Signal[..., Any], receiver: Any, sender: Any = ANY) -> tuple[str, ...]:
    """Return the names of the plugins that connected ``receiver`` to ``signal``.

    Args:
        signal: The signal.
        receiver: The receiver.
        sender: The sender of the subscription.

    Returns:
        The names of the plugins that connected it, in order. It is empty if no plugin did.
    """
    table = _table(signal)
    names = table.get(key_of(receiver, sender), ())
    if issubclass(type(sender), type):
        others = table.get(key_of(receiver, sender, subclasses=True), ())
        names += tuple([each for each in others if each not in names])
    return names


def origins(signal: Signal[..., Any]) -> list[Origin]:
    """Return every subscription of ``signal`` in connection order, with its plugins."""
    table = _table(signal)
    return [
        Origin(row, table.get((link.receiver.key, link.sender.key), ()))
        for link in signal._registry.all()  # noqa: SLF001 - part of the same engine
        for row in explain(repr(signal), (link,), ANY).rows
    ]


def _table(signal: Signal[..., Any]) -> dict[Key, tuple[str, ...]]:
    table: dict[Key, tuple[str, ...]] = {}
    for unit in [unit() for unit in list(_units.get(signal, {}).values())]:
        if unit is None or unit.plugin is None:
            continue
        for key in unit.keys_for(signal):
            names = table.get(key, ())
            if unit.plugin not in names:
                table[key] = (*names, unit.plugin)
    return table
