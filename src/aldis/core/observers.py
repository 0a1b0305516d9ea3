"""The one place where observers attach.

Without an observer, a send tests one flag and does not use this module. With an observer, each send
takes the path in :mod:`aldis.core.slowpath`, which notifies every observer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from os import urandom
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Any, Final, Self

from aldis._compat import set_variable
from aldis.core._native import set_observed
from aldis.core.process import ForkSafeLock, log

__all__ = [
    "NOT_OBSERVED",
    "Call",
    "Emission",
    "Observer",
    "SendId",
    "attach",
    "current_call",
    "current_send_id",
    "detach",
    "is_enabled",
    "observe_call",
    "observe_send",
    "observed_call",
    "report_error",
    "take_send_id",
]

_observers: tuple[Observer, ...] = ()
_current: ContextVar[Call | None] = ContextVar("aldis_current_call", default=None)
_send_id: ContextVar[SendId | None] = ContextVar("aldis_current_send_id", default=None)
_changing = ForkSafeLock()

#: Whether there is an observer. Every send then takes the slow path.
enabled: bool = False

#: The context of a send or a call without an observer.
NOT_OBSERVED: Final[AbstractContextManager[None]] = nullcontext()


class Observer:
    """Is notified of every send. Override the methods that you need.

    The methods run in the thread and task of the sender, and delay it. If a method raises, the
    error is logged and the sender never sees it.
    """

    def emission_started(self, emission: Emission) -> None:
        """A send began."""

    def call_started(self, call: Call) -> None:
        """A receiver is about to be called."""

    def call_finished(self, call: Call) -> None:
        """A receiver returned or raised; see ``call.error``."""

    def receiver_skipped(self, emission: Emission, receiver: Any, reason: str) -> None:
        """A receiver was not called for ``reason``. The receiver is ``None`` if it is dead."""

    def state_changed(self, call: Call) -> None:
        """A delivery mode reported what happened to the call; see ``call.state``."""

    def emission_finished(self, emission: Emission) -> None:
        """A send ended; see ``emission.error``."""


class _Timed:
    """A send or a call: it begins, it ends, and it may raise. Times are in nanoseconds.

    Attributes:
        spans: Each observer may store an object here.
    """

    __slots__ = ("error", "finished", "spans", "started")

    spans: dict[Observer, Any]
    started: int
    finished: int | None
    error: BaseException | None

    @property
    def elapsed(self) -> int:
        """Nanoseconds from the beginning to the end, or to now."""
        return (self.finished or perf_counter_ns()) - self.started


class Emission(_Timed):
    """One send, from its beginning to its end.

    Attributes:
        signal: The signal.
        sender: The sender.
        payload: The keyword arguments. Do not change them: the receivers get the same objects.
        how: The method that sent: ``"send"``, ``"asend"`` …
        cause: The call of a receiver inside which this send happened, or ``None``.
        muted: Whether no receiver was called because the signal was muted.
        observers: The observers of this send.
    """

    __slots__ = ("cause", "how", "muted", "observers", "payload", "sender", "signal")

    signal: Any
    sender: Any
    payload: dict[str, Any]
    how: str
    cause: Call | None
    muted: bool
    observers: tuple[Observer, ...]

    def __init__(self, signal: Any, sender: Any, payload: dict[str, Any], how: str) -> None:
        self.spans: dict[Observer, Any] = {}
        self.finished = None
        self.error = None
        self.signal = signal
        self.sender = sender
        self.payload = payload
        self.how = how
        self.cause = _current.get()
        self.muted = signal.is_muted
        self.observers = _observers
        self.started: int = perf_counter_ns()

    def notify(self, event: Callable[[Observer], Callable[..., None]], *facts: Any) -> None:
        """Call the method ``event`` of each observer. If one raises, the error is logged."""
        for observer in self.observers:
            try:
                event(observer)(*facts)
            except Exception:  # noqa: BLE001 - an observer's error must not reach the sender
                _log_failure(observer)

    def skip(self, receiver: Any, reason: str) -> None:
        """Notify the observers that a receiver was not called."""
        self.notify(lambda observer: observer.receiver_skipped, self, receiver, reason)

    def __enter__(self) -> Self:
        try:
            for observer in self.observers:
                try:
                    observer.emission_started(self)
                except Exception:  # noqa: BLE001 - see notify
                    _log_failure(observer)
        except BaseException as error:  # an interrupt; a with statement does not call __exit__ then
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finished = perf_counter_ns()
        self.error = error
        for observer in self.observers:
            try:
                observer.emission_finished(self)
            except Exception:  # noqa: BLE001 - see notify
                _log_failure(observer)


def _log_failure(observer: Observer) -> None:
    log().exception("aldis: the observer %r failed", observer)


class Call(_Timed):
    """One call of a receiver in a send.

    Attributes:
        emission: The send.
        receiver: The receiver, as it was connected.
        is_async: Whether the call is awaited.
        state: What the delivery mode did with the call:

            - ``"called"``: it called the receiver, now;
            - ``"deferred"``: it waits for the commit;
            - ``"called after the commit"``: this is the second call of a deferred receiver;
            - ``"recorded"``: a worker will call the receiver;
            - ``"rolled back"``: the transaction was rolled back, so the receiver is never called;
            - ``"not committed"``: the session was closed without a commit or a rollback, so the
              receiver is never called.
        delivery_id: The id of the recorded delivery, or ``None``.
    """

    __slots__ = ("_outer", "delivery_id", "emission", "is_async", "receiver", "state")

    emission: Emission
    receiver: Any
    is_async: bool
    state: str
    delivery_id: int | None

    def __init__(
        self, emission: Emission, receiver: Any, *, is_async: bool, state: str = "called"
    ) -> None:
        self.spans: dict[Observer, Any] = {}
        self.finished = None
        self.error = None
        self.state = state
        self.delivery_id = None
        self.emission = emission
        self.receiver = receiver
        self.is_async = is_async
        self.started: int = perf_counter_ns()

    def __enter__(self) -> Self:
        # The outer call is the cause of the emission, unless the delivery mode calls the receiver
        # later.
        self._outer = _current.get()
        try:
            for observer in self.emission.observers:
                try:
                    observer.call_started(self)
                except Exception:  # noqa: BLE001 - see notify
                    _log_failure(observer)
            self.started = perf_counter_ns()
            set_variable(_current, self)
        except BaseException as error:  # an interrupt; a with statement does not call __exit__ then
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # No token, because Python may close an abandoned coroutine in another context.
        set_variable(_current, self._outer)
        self.finished = perf_counter_ns()
        if error is not None:  # otherwise the error of report_error() stays
            self.error = error
        for observer in self.emission.observers:
            try:
                observer.call_finished(self)
            except Exception:  # noqa: BLE001 - see notify
                _log_failure(observer)

    def report(self, state: str, delivery_id: int | None = None) -> None:
        """Set the state of the call, and notify the observers. This may happen after its end."""
        self.state = state
        self.delivery_id = delivery_id
        self.emission.notify(lambda observer: observer.state_changed, self)


class SendId:
    """Gives the send in a ``with`` block an id, for :func:`current_send_id`."""

    __slots__ = ("_outer", "_taken", "value")

    value: str

    def __enter__(self) -> Self:
        self.value = _new_send_id()
        self._taken: dict[str, object] = {}
        self._outer = _send_id.get()
        try:
            set_variable(_send_id, self)
        except BaseException:  # an interrupt; a with statement does not call __exit__ then
            self.__exit__()
            raise
        return self

    def take(self, name: str) -> str | None:
        """Return the id at the first call with ``name``, and ``None`` at every later one."""
        mine = object()
        return self.value if self._taken.setdefault(name, mine) is mine else None

    def __exit__(self, *_: object) -> None:
        # No token, because Python may close an abandoned coroutine in another context.
        set_variable(_send_id, self._outer)


def current_send_id() -> str | None:
    """Return the id of the current send, or ``None`` if no receiver of the send needs it.

    The id has 32 hexadecimal digits. All receivers of a send get one id, and no other send has it.
    """
    current = _send_id.get()
    return None if current is None else current.value


def take_send_id(name: str) -> str:
    """Return an id that no other call with ``name`` gets: that of the current send, or a new one.

    A program can call the receivers of a signal without a send, once or many times, also while
    another signal is being sent.
    """
    current = _send_id.get()
    return (None if current is None else current.take(name)) or _new_send_id()


def _new_send_id() -> str:
    # The time in milliseconds comes first, so that new ids are neighbours in an index.
    return f"{time_ns() // 1_000_000:012x}{urandom(10).hex()}"


def observe_send(
    signal: Any, sender: Any, payload: dict[str, Any], how: str
) -> AbstractContextManager[Emission | None]:
    """Return the context of a send. Its value is ``None`` without an observer."""
    return Emission(signal, sender, payload, how) if _observers else NOT_OBSERVED


def observe_call(
    emission: Emission | None, receiver: Any, *, is_async: bool
) -> AbstractContextManager[object]:
    """Return the context of a receiver's call."""
    return NOT_OBSERVED if emission is None else Call(emission, receiver, is_async=is_async)


def attach(observer: Observer) -> None:
    """Notify ``observer`` of every send from now on, in every thread. Attaching twice is once."""
    global _observers  # noqa: PLW0603 - the observers belong to the process
    with _changing.lock:
        if not any(each is observer for each in _observers):
            _observers = (*_observers, observer)
        _send_slowly(bool(_observers))


def detach(observer: Observer) -> None:
    """Stop notifying ``observer``. It still sees the end of a send that has begun."""
    global _observers  # noqa: PLW0603 - the observers belong to the process
    with _changing.lock:
        _observers = tuple(each for each in _observers if each is not observer)
        _send_slowly(bool(_observers))


def _send_slowly(observed: bool) -> None:
    global enabled  # noqa: PLW0603 - the flag belongs to the process
    enabled = observed
    set_observed(observed)


def is_enabled() -> bool:
    """Return whether there is an observer."""
    return enabled


def current_call() -> Call | None:
    """Return the receiver's call in which this code runs, if it is observed."""
    return _current.get()


def observed_call(receiver: Any) -> Call | None:
    """Return the call in which this code runs, if it is observed and is a call of ``receiver``.

    Args:
        receiver: An object with a delivery mode.
    """
    call = _current.get()
    # If this send began before an observer was attached, the current call is another receiver's.
    mine = call is not None and getattr(call.receiver, "__func__", call.receiver) is receiver
    return call if mine else None


def report_error(receiver: Any, error: BaseException) -> None:
    """Show observers an error that a receiver's delivery mode keeps from the sender.

    Args:
        receiver: The receiver, as an object with a delivery mode.
        error: The exception that was raised in its call.
    """
    call = observed_call(receiver)
    if call is not None:
        call.error = error
