"""The one place where observers attach.

Without an observer, a send tests one flag and does not use this module. With an observer, the call
loop, or :mod:`aldis.core.slowpath`, notifies every observer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from os import urandom
from time import perf_counter_ns, time_ns
from typing import Any, Final, Self

from aldis._compat import set_variable
from aldis.core._native import (
    CallFields,
    EmissionFields,
    Progress,
    set_observed_types,
    set_observers,
)
from aldis.core._native import current_call as _current
from aldis.core.process import ForkSafeLock, log

__all__ = [
    "NOT_OBSERVED",
    "Call",
    "Emission",
    "Observer",
    "Progress",
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
_send_id: ContextVar[SendId | None] = ContextVar("aldis_current_send_id", default=None)
_changing = ForkSafeLock()

#: Whether there is an observer.
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


class Emission(EmissionFields):
    """One send, from its beginning to its end. Times are in nanoseconds.

    Attributes:
        signal: The signal.
        sender: The sender.
        payload: The keyword arguments. Do not change them: the receivers get the same objects.
        how: The method that sent: ``"send"``, ``"asend"`` …
        cause: The call of a receiver inside which this send happened, or ``None``.
        muted: Whether no receiver was called because the signal was muted.
        error: The exception that ended the send, or ``None``.
        observers: The observers of this send.
        progress: The times. Unlike this object, it keeps no object of the program alive.
        spans: Each observer may store an object here.
    """

    __slots__ = ()

    cause: Call | None
    observers: tuple[Observer, ...]

    @property
    def started(self) -> int:
        """The time of the beginning."""
        return self.progress.started

    @property
    def finished(self) -> int | None:
        """The time of the end, or ``None``."""
        return self.progress.finished

    @property
    def elapsed(self) -> int:
        """Nanoseconds from the beginning to the end, or to now."""
        return (self.finished or perf_counter_ns()) - self.started

    def notify(self, event: Callable[[Observer], Callable[..., None]], *facts: Any) -> None:
        """Call the method ``event`` of each observer. If one raises, the error is logged."""
        for observer in self.observers:
            try:
                event(observer)(*facts)
            except Exception as error:  # noqa: BLE001 - it must not reach the sender
                self._log_failure(observer, error)

    def skip(self, receiver: Any, reason: str) -> None:
        """Notify the observers that a receiver was not called."""
        self.notify(lambda observer: observer.receiver_skipped, self, receiver, reason)

    def _log_failure(self, observer: Observer, error: Exception) -> None:
        log().error("aldis: the observer %r failed", observer, exc_info=error)


class Call(CallFields):
    """One call of a receiver in a send. Times are in nanoseconds.

    Attributes:
        emission: The send.
        receiver: The receiver, as it was connected.
        is_async: Whether the call is awaited.
        error: The exception that the receiver raised, or ``None``.
        progress: The times and the state. Unlike this object, it keeps no object of the program
            alive.
    """

    __slots__ = ()

    emission: Emission

    @property
    def started(self) -> int:
        """The time of the beginning."""
        return self.progress.started

    @property
    def finished(self) -> int | None:
        """The time of the end, or ``None``."""
        return self.progress.finished

    @property
    def elapsed(self) -> int:
        """Nanoseconds from the beginning to the end, or to now."""
        return (self.finished or perf_counter_ns()) - self.started

    @property
    def state(self) -> str:
        """The state of the call, which the delivery mode of the receiver chooses.

        - ``"called"``: it called the receiver, now;
        - ``"deferred"``: it waits for the commit;
        - ``"called after the commit"``: this is the second call of a deferred receiver;
        - ``"recorded"``: a worker will call the receiver;
        - ``"rolled back"``: the transaction was rolled back, so the receiver is never called;
        - ``"not committed"``: the session was closed without a commit or a rollback, so the
          receiver is never called.
        """
        return self.progress.state

    @property
    def delivery_id(self) -> int | None:
        """The id of the recorded delivery, or ``None``."""
        return self.progress.delivery_id

    def report(self, state: str, delivery_id: int | None = None) -> None:
        """Set the state of the call, and notify the observers. This may happen after its end."""
        self.progress.state = state
        self.progress.delivery_id = delivery_id
        self.emission.notify(lambda observer: observer.state_changed, self)


set_observed_types(Emission, Call)


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
        _notify_from_now_on()


def detach(observer: Observer) -> None:
    """Stop notifying ``observer``. It still sees the end of a send that has begun."""
    global _observers  # noqa: PLW0603 - the observers belong to the process
    with _changing.lock:
        _observers = tuple(each for each in _observers if each is not observer)
        _notify_from_now_on()


def _notify_from_now_on() -> None:
    global enabled  # noqa: PLW0603 - the flag belongs to the process
    enabled = bool(_observers)
    set_observers(_observers)


def is_enabled() -> bool:
    """Return whether there is an observer."""
    return enabled


def current_call() -> Call | None:
    """Return the receiver's call in which this code runs, if it is observed."""
    call: Call | None = _current.get()
    return call


def observed_call(receiver: Any) -> Call | None:
    """Return the call in which this code runs, if it is observed and is a call of ``receiver``.

    Args:
        receiver: An object with a delivery mode.
    """
    call = current_call()
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
