"""The one place where observers attach.

While nobody observes, a send tests one pointer and knows nothing of this module. Otherwise it goes
through the rules of :mod:`aldis.core.slowpath`, which tell every observer what happens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from os import urandom
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Final, Self

from aldis.core._native import set_observed
from aldis.core.process import ForkSafeLock

__all__ = [
    "Call",
    "Emission",
    "Observer",
    "SendId",
    "attach",
    "current_call",
    "current_send_id",
    "detach",
    "observe_call",
    "observe_send",
    "report_error",
]

_log = logging.getLogger("aldis")

_observers: tuple[Observer, ...] = ()
_reasons: frozenset[str] = frozenset()
_current: ContextVar[Call | None] = ContextVar("aldis_current_call", default=None)
_send: ContextVar[str | None] = ContextVar("aldis_current_send", default=None)
_NOBODY: Final[AbstractContextManager[None]] = nullcontext()
_changing = ForkSafeLock()


class Observer:
    """Is told of every send. Override what you need; what you raise is logged and goes no further.

    The methods run in the thread and task of the sender, and delay it.
    """

    def emission_started(self, emission: Emission) -> None:
        """A send began."""

    def call_started(self, call: Call) -> None:
        """A receiver is about to be called."""

    def call_finished(self, call: Call) -> None:
        """A receiver returned or raised: see ``call.error``."""

    def receiver_skipped(self, emission: Emission, receiver: Any, reason: str) -> None:
        """A receiver (``None`` if it is dead) was not called, for ``reason``."""

    def emission_finished(self, emission: Emission) -> None:
        """A send ended: see ``emission.error``."""


class _Timed:
    """Something with a beginning, an end and perhaps an error. Times in nanoseconds.

    In ``spans`` each observer may keep what it makes of it.
    """

    __slots__ = ("error", "finished", "spans", "started")

    def __init__(self) -> None:
        self.spans: dict[Observer, Any] = {}
        self.started = perf_counter_ns()
        self.finished: int | None = None
        self.error: BaseException | None = None

    @property
    def elapsed(self) -> int:
        """Nanoseconds from the beginning to the end, or to now."""
        return (self.finished or perf_counter_ns()) - self.started


class Emission(_Timed):
    """One send, from its beginning to its end.

    Attributes:
        signal: What was sent.
        sender: Who sent it.
        payload: The keyword arguments. They are the receivers' own objects: do not change them.
        how: The method that sent: ``"send"``, ``"asend"`` …
        cause: The call of a receiver inside which this send happened, or ``None``.
        muted: Whether nobody was called because the signal was muted.
        observers: Who is told of it.
    """

    __slots__ = ("cause", "how", "muted", "observers", "payload", "sender", "signal")

    def __init__(self, signal: Any, sender: Any, payload: dict[str, Any], how: str) -> None:
        super().__init__()
        self.signal = signal
        self.sender = sender
        self.payload = payload
        self.how = how
        self.cause = _current.get()
        self.muted: bool = signal.is_muted
        self.observers = _observers

    def tell(self, event: Callable[[Observer], Callable[..., None]], *facts: Any) -> None:
        """Tell each observer; one that raises is logged and left out."""
        for observer in self.observers:
            try:
                event(observer)(*facts)
            except Exception:  # noqa: BLE001 - an observer's error is not the sender's
                _log.exception("aldis: the observer %r failed", observer)

    def skip(self, receiver: Any, reason: str) -> None:
        """Say that a receiver was not called."""
        self.tell(lambda observer: observer.receiver_skipped, self, receiver, reason)

    def __enter__(self) -> Self:
        self.tell(lambda observer: observer.emission_started, self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finished = perf_counter_ns()
        self.error = error
        self.tell(lambda observer: observer.emission_finished, self)


class Call(_Timed):
    """One receiver's turn in an emission.

    Attributes:
        emission: The send.
        receiver: The receiver, as it was connected.
        is_async: Whether it is awaited.
    """

    __slots__ = ("_outer", "emission", "is_async", "receiver")

    def __init__(self, emission: Emission, receiver: Any, *, is_async: bool) -> None:
        super().__init__()
        self.emission = emission
        self.receiver = receiver
        self.is_async = is_async

    def __enter__(self) -> Self:
        self.emission.tell(lambda observer: observer.call_started, self)
        self._outer = _current.get()  # the emission's cause, unless its delivery calls it later
        _current.set(self)
        self.started = perf_counter_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finished = perf_counter_ns()
        if error is not None:  # else what a delivery reported stays
            self.error = error
        # Not by a token: a coroutine that is thrown away may be closed in another context.
        _current.set(self._outer)
        self.emission.tell(lambda observer: observer.call_finished, self)


class SendId:
    """One send, as those know it whom it calls and who ask; see :func:`current_send_id`."""

    __slots__ = ("_outer", "value")

    def __enter__(self) -> Self:
        self.value = urandom(16).hex()
        self._outer = _send.get()
        _send.set(self.value)
        return self

    def __exit__(self, *_: object) -> None:
        _send.set(self._outer)  # not by a token, as above


def current_send_id() -> str | None:
    """Return the id of the send that is calling, or ``None``: its receivers do not ask.

    It is the same for every receiver of the send, and no other send's: 32 hexadecimal digits.
    """
    return _send.get()


def observe_send(
    signal: Any, sender: Any, payload: dict[str, Any], how: str
) -> AbstractContextManager[Emission | None]:
    """Begin a send; the context is ``None`` while nobody observes."""
    return Emission(signal, sender, payload, how) if _observers else _NOBODY


def observe_call(
    emission: Emission | None, receiver: Any, *, is_async: bool
) -> AbstractContextManager[object]:
    """Begin a receiver's turn."""
    return _NOBODY if emission is None else Call(emission, receiver, is_async=is_async)


def attach(observer: Observer) -> None:
    """Tell ``observer`` of every send from now on, in every thread. Twice is once."""
    global _observers  # noqa: PLW0603 - the tap is the one place
    with _changing.of_this_process():
        if not any(each is observer for each in _observers):
            _observers = (*_observers, observer)
        enable("observers", wanted=True)


def detach(observer: Observer) -> None:
    """Tell ``observer`` no more; of a send under way it still hears the end."""
    global _observers  # noqa: PLW0603 - the tap is the one place
    with _changing.of_this_process():
        _observers = tuple(each for each in _observers if each is not observer)
        enable("observers", wanted=bool(_observers))


def enable(reason: str, *, wanted: bool) -> None:
    """Route every send through the rules while at least one reason wants it."""
    global _reasons  # noqa: PLW0603 - the tap is the one place
    with _changing.of_this_process():
        _reasons = _reasons | {reason} if wanted else _reasons - {reason}
        set_observed(bool(_reasons))


def is_enabled() -> bool:
    """Tell whether anything looks at sends: an observer, or strict mode."""
    return bool(_reasons)


def current_call() -> Call | None:
    """Return the receiver's turn in which this code runs, if it is observed."""
    return _current.get()


def report_error(receiver: Any, error: BaseException) -> None:
    """Let observers know of an error that a receiver's delivery keeps from the sender.

    Args:
        receiver: The object with the delivery, whose turn it is.
        error: What was raised inside it.
    """
    call = _current.get()
    # Another's turn it is when this send began before anybody observed.
    if call is not None and getattr(call.receiver, "__func__", call.receiver) is receiver:
        call.error = error
