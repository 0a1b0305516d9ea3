"""Subscriptions as a unit: all of them or none."""

from __future__ import annotations

from contextlib import suppress
from threading import RLock
from types import TracebackType
from typing import Any, Self
from warnings import warn

from aldis.core.receiver import describe
from aldis.core.sender import ANY
from aldis.core.signal import Signal, Subscription
from aldis.errors import ContractWarning, ReceiverError, UnboundSenderError
from aldis.plugins.interface import SignalMapping
from aldis.plugins.mapping import Delivery, read_mapping
from aldis.plugins.origins import Key, forget, key_of, link_key, remember

__all__ = ["Subscriptions"]


class Subscriptions:
    """A mapping of signals to receivers, connected as one and disconnected as one.

    It holds the receivers, so that a lambda or a closure lives as long as the unit, and remembers
    what it connected: what anybody else connected, the same receivers included, stays. A receiver
    that another unit shares keeps the place in the order that it had. Letting a connected unit be
    collected disconnects what was connected weakly and nothing else.

    As a context manager it is connected during the block. Blocks and ``connect`` nest: it is
    disconnected once each of them is over.

    Args:
        mapping: What CKAN's ``get_signal_subscriptions`` returns: for each signal an iterable of
            receivers, or of dicts of ``connect``'s keyword arguments (``receiver``, ``sender``,
            ``weak``). It is read once, here.
        plugin: The name that :func:`aldis.plugins.origins` shows.
        delivery: What gives a delivery to the receivers that have none, such as
            :class:`aldis.receivers.robust`. A receiver with a delivery keeps its own.

    Raises:
        ReceiverError: Something in the mapping cannot be connected; the error names it.

    Warns:
        ContractWarning: A receiver does not take ``**kwargs``, and would fail once its signal
            carries more.
    """

    def __init__(
        self,
        mapping: SignalMapping,
        *,
        plugin: str | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        self.plugin = plugin
        self._entries = read_mapping(mapping, delivery)
        self._signals = tuple({entry.signal: None for entry in self._entries})
        self._handles: list[Subscription] = []
        self._depth = 0
        self._lent = False
        self._lock = RLock()
        for entry in self._entries:
            problem = entry.refusal()
            if problem is not None:
                warn(problem, ContractWarning, stacklevel=2)

    @property
    def signals(self) -> tuple[Signal[..., Any], ...]:
        """The signals of the mapping, in its order."""
        return self._signals

    @property
    def connected(self) -> bool:
        """Whether it has been connected more often than disconnected."""
        return self._depth > 0

    def connect(self) -> None:
        """Connect every receiver, in the mapping's order; or none, when one cannot be.

        Connected already, it is only counted: it takes as many calls of :meth:`disconnect`.

        Raises:
            Exception: Whatever ``connect`` of a signal raised, with a note that says which entry.
        """
        with self._lock:
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
        """Disconnect exactly what :meth:`connect` connected. When nothing is, do nothing.

        Raises:
            Exception: What a receiver of ``receiver_disconnected`` raised; all is disconnected.
        """
        with self._lock:
            self._depth = max(0, self._depth - 1)
            if self._depth == 0:
                handles, self._handles = self._handles, []
                if not self._lent:
                    forget(self, self._signals)
                _cancel(handles)

    def mapping(self) -> dict[Signal[..., Any], list[Any]]:
        """Return the mapping for a framework that connects and disconnects by itself, as CKAN does.

        Receivers and senders are the same objects at every call. The dicts are new at every call,
        since CKAN takes ``weak`` out of those it is handed.

        Raises:
            ReceiverError: A receiver is async, and would make every sync send fail before any
                receiver is called. Every such entry is named.
        """
        self._refuse_async()
        if not self._lent:
            self._lent = True
            remember(self, self._signals)
        result: dict[Signal[..., Any], list[Any]] = {signal: [] for signal in self._signals}
        for entry in self._entries:
            result[entry.signal].append(entry.as_given())
        return result

    def _refuse_async(self) -> None:
        problems = [
            f"{entry.place}: receiver {describe(entry.receiver)} is async, and a sync send, the "
            "only kind there is here, would call nobody at all; write it as a def, with "
            "asyncio.run(…) around what it awaits"
            for entry in self._entries
            if entry.is_async
        ]
        if problems:
            raise ReceiverError("; ".join(problems))

    def keys_for(self, signal: Signal[..., Any]) -> list[Key]:
        """Return the keys of what it has connected to ``signal``, or a framework has for it."""
        keys = [
            link_key(handle)
            for handle in self._handles
            if handle.signal == signal and handle.active
        ]
        for entry in self._entries if self._lent else ():
            if entry.signal == signal:
                with suppress(UnboundSenderError):
                    keys.append(key_of(entry.receiver, entry.options.get("sender", ANY)))
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
    """Cancel the last one first, all of them whatever is raised, and raise the first error then."""
    first: Exception | None = None
    for handle in reversed(handles):
        try:
            handle.cancel()
        except Exception as error:  # noqa: BLE001 - raised below
            first = first or error
    if first is not None:
        raise first
