"""Connects several receivers as one unit: all of them, or none."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from warnings import warn

from aldis.core.process import ForkSafeLock
from aldis.core.receiver import describe
from aldis.core.sender import ANY
from aldis.core.signal import Signal, Subscription
from aldis.errors import ContractWarning, ReceiverError, UnboundSenderError
from aldis.plugins.interface import SignalMapping
from aldis.plugins.mapping import ModeDecorator, read_mapping
from aldis.plugins.origins import Key, forget, key_of, link_key, remember

__all__ = ["Subscriptions"]


class Subscriptions:
    """A mapping of signals to receivers that is connected and disconnected as one unit.

    The unit holds its receivers, so a lambda or a closure lives as long as the unit. It disconnects
    exactly the subscriptions that it made. If other code connected one of the receivers too, that
    subscription stays. A receiver in two units keeps its first place in the order. If a connected
    unit is garbage-collected, its weak subscriptions end, and its strong ones stay.

    As a context manager, the unit is connected during the block. Blocks and calls of ``connect``
    nest: the unit is disconnected when the outermost block has ended.

    Args:
        mapping: The result of CKAN's ``get_signal_subscriptions``: for each signal, an iterable of
            receivers, or of dicts with the keyword arguments of ``connect`` (``receiver``,
            ``sender``, ``senders``, ``weak``, ``subclasses``, ``dispatch_uid``). It is read only
            once.
        plugin: The name that :func:`aldis.plugins.origins` shows.
        delivery: A decorator such as :class:`aldis.receivers.robust`. It gives a delivery mode to
            the receivers that have none.

    Raises:
        ReceiverError: One or more entries cannot be connected. The error names each of them.

    Warns:
        ContractWarning: A receiver has no ``**kwargs``, so it would fail if its signal carried more
            arguments.
    """

    def __init__(
        self,
        mapping: SignalMapping,
        *,
        plugin: str | None = None,
        delivery: ModeDecorator | None = None,
    ) -> None:
        self.plugin: str | None = plugin
        self._entries = read_mapping(mapping, delivery)
        self._signals = tuple({entry.signal: None for entry in self._entries})
        self._handles: list[Subscription] = []
        self._depth = 0
        self._given_away = False
        self._changing = ForkSafeLock()
        for entry in self._entries:
            problem = entry.signature_problem()
            if problem is not None:
                warn(problem, ContractWarning, stacklevel=2)

    @property
    def signals(self) -> tuple[Signal[..., Any], ...]:
        """The signals of the mapping, in its order."""
        return self._signals

    @property
    def connected(self) -> bool:
        """Whether the unit is connected."""
        return self._depth > 0

    def connect(self) -> None:
        """Connect all receivers in the order of the mapping. If one fails, connect none.

        If the unit is connected already, it only counts the call: :meth:`disconnect` must then be
        called as often.

        Raises:
            Exception: A signal's ``connect`` raised it. A note on it names the entry.
        """
        with self._changing.lock:
            if self._depth == 0:
                self._connect_all()
                remember(self, self._signals)
            self._depth += 1

    def _connect_all(self) -> None:
        made: list[Subscription] = []
        for entry in self._entries:
            try:
                made.append(entry.signal.subscribe(**entry.options))
            except BaseException as error:
                error.add_note(f"while connecting {entry.place} of {self!r}; nothing is connected")
                with suppress(Exception):
                    _cancel(made)
                raise
        self._handles = made

    def disconnect(self) -> None:
        """Disconnect exactly the receivers that :meth:`connect` connected, if there are any.

        Raises:
            Exception: A receiver of ``receiver_disconnected`` raised it. All are disconnected.
        """
        with self._changing.lock:
            self._depth = max(0, self._depth - 1)
            if self._depth == 0:
                handles, self._handles = self._handles, []
                if not self._given_away:
                    forget(self, self._signals)
                _cancel(handles)

    def mapping(self) -> dict[Signal[..., Any], list[Any]]:
        """Return the mapping for a framework that connects and disconnects by itself, such as CKAN.

        Each call returns the same receivers and senders. The dicts are new, because CKAN removes
        ``weak`` from them.

        Raises:
            ReceiverError: A receiver is async. With it, every sync send would fail before it calls
                any receiver. The error names each async receiver.
        """
        self._reject_async()
        if not self._given_away:
            self._given_away = True
            remember(self, self._signals)
        result: dict[Signal[..., Any], list[Any]] = {signal: [] for signal in self._signals}
        for entry in self._entries:
            result[entry.signal].append(entry.as_given())
        return result

    def _reject_async(self) -> None:
        problems = [
            f"{entry.place}: receiver {describe(entry.receiver)} is async, but this framework "
            "only sends synchronously, and a sync send with an async receiver calls no receiver; "
            "write it as a def, and call asyncio.run(…) in it"
            for entry in self._entries
            if entry.is_async
        ]
        if problems:
            raise ReceiverError("; ".join(problems))

    def keys_for(self, signal: Signal[..., Any]) -> list[Key]:
        """Return the keys of its subscriptions of ``signal``, including those of a framework."""
        keys = [
            link_key(handle)
            for handle in self._handles
            if handle.signal == signal and handle.active
        ]
        for entry in self._entries if self._given_away else ():
            if entry.signal == signal:
                with suppress(UnboundSenderError):
                    sender = entry.options.get("sender", ANY)
                    subclasses = bool(entry.options.get("subclasses", False))
                    keys.append(key_of(entry.receiver, sender, subclasses=subclasses))
        return keys

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disconnect()

    def __len__(self) -> int:
        return len(self._entries)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        whose = f"plugin {self.plugin!r}" if self.plugin else "no plugin"
        state = "connected" if self.connected else "not connected"
        return f"<Subscriptions of {whose}: {len(self)}, {state}>"


def _cancel(handles: list[Subscription]) -> None:
    """Cancel all handles, the last one first. Then raise the first error, if there was one."""
    first: Exception | None = None
    for handle in reversed(handles):
        try:
            handle.cancel()
        except Exception as error:  # noqa: BLE001 - raised below
            first = first or error
    if first is not None:
        raise first
