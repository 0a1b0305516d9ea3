"""Which plugin a receiver came from, for those who look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary, ref

from aldis.core.explain import Row, explain
from aldis.core.receiver import receiver_key
from aldis.core.sender import ANY, real_sender, sender_key
from aldis.core.signal import Signal, Subscription

__all__ = ["Key", "Origin", "forget", "key_of", "link_key", "origin_of", "origins", "remember"]

#: What tells a subscription from the others of its signal: the receiver's key and the sender's.
Key = tuple[object, object]


class Unit(Protocol):
    """What connects receivers in a plugin's name."""

    @property
    def plugin(self) -> str | None:
        """The plugin's name."""

    def keys_for(self, signal: Signal[..., Any]) -> Iterable[Key]:
        """Return the keys of what it has connected to ``signal``."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One subscription, and who made it.

    Attributes:
        row: The subscription, as ``Signal.explain`` shows it.
        plugins: The plugins that it came from, in the order of their connecting; empty for one
            that no plugin connected.
    """

    row: Row
    plugins: tuple[str, ...]


#: By signal, the living units that have connected something to it, in that order.
_units: WeakKeyDictionary[Signal[..., Any], dict[int, ref[Unit]]] = WeakKeyDictionary()


def remember(unit: Unit, signals: Iterable[Signal[..., Any]]) -> None:
    """Note that ``unit`` has receivers on ``signals`` from now on."""
    for signal in signals:
        _note(_units.setdefault(signal, {}), unit)


def _note(units: dict[int, ref[Unit]], unit: Unit) -> None:
    key = id(unit)
    units[key] = ref(unit, lambda _: units.pop(key, None))


def forget(unit: Unit, signals: Iterable[Signal[..., Any]]) -> None:
    """Note that ``unit`` has no receivers on ``signals`` any more."""
    for signal in signals:
        _units.get(signal, {}).pop(id(unit), None)


def key_of(receiver: Any, sender: Any) -> Key:
    """Return the key of the subscription of ``receiver`` for ``sender``.

    Raises:
        UnboundSenderError: ``sender`` is a proxy that stands for nothing at the moment.
    """
    sender = real_sender(sender)
    return receiver_key(receiver), ANY if sender is ANY else sender_key(sender)


def link_key(handle: Subscription) -> Key:
    """Return the key of the subscription that ``handle`` holds."""
    link = handle._link  # noqa: SLF001 - part of the same engine
    return link.receiver.key, link.sender.key


def origin_of(signal: Signal[..., Any], receiver: Any, sender: Any = ANY) -> tuple[str, ...]:
    """Return the names of the plugins that connected ``receiver`` to ``signal``.

    Args:
        signal: The signal.
        receiver: The receiver, as it was connected.
        sender: The sender that it was connected for.

    Returns:
        The names in the order of their connecting; empty when no plugin did.
    """
    return _table(signal).get(key_of(receiver, sender), ())


def origins(signal: Signal[..., Any]) -> list[Origin]:
    """Return every subscription of ``signal`` in connection order, and the plugins it came from."""
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
