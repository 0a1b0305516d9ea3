"""The interface of a plugin: CKAN's ``ISignal``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from aldis.core.signal import Signal

__all__ = ["ISignal", "Listener", "SignalMapping"]

#: A receiver, or the keyword arguments of ``connect`` including the receiver.
Listener: TypeAlias = Callable[..., Any] | Mapping[str, Any]

#: Signals, and the receivers of each one.
SignalMapping: TypeAlias = Mapping[Signal[..., Any], Iterable[Listener]]


@runtime_checkable
class ISignal(Protocol):
    """A plugin with receivers for signals."""

    def get_signal_subscriptions(self) -> SignalMapping:
        """Return the signals to connect to, and the receivers for each of them.

        Each call may return a new mapping with new receivers.
        """
