"""What a plugin has to look like: CKAN's interface ``ISignal``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from aldis.core.signal import Signal

__all__ = ["ISignal", "Listener", "SignalMapping"]

#: A receiver, or the keyword arguments of ``connect`` with the receiver among them.
Listener: TypeAlias = Callable[..., Any] | Mapping[str, Any]

#: Which signals, and who listens to each of them.
SignalMapping: TypeAlias = Mapping[Signal[..., Any], Iterable[Listener]]


@runtime_checkable
class ISignal(Protocol):
    """A plugin that listens to signals."""

    def get_signal_subscriptions(self) -> SignalMapping:
        """Return the signals to connect to, and the receivers for each of them.

        It may build a new mapping, and new receivers, at each call.
        """
