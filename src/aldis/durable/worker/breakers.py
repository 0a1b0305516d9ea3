"""Circuit breakers: a worker pauses a receiver that fails again and again, and tries it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Literal, NamedTuple

from aldis.core.process import ForkSafeLock
from aldis.durable._log import get_logger
from aldis.durable.receiver import Durable
from aldis.durable.retry import Breaker
from aldis.durable.store import Store
from aldis.durable.types import BreakerState
from aldis.durable.worker.attempt import AttemptResult
from aldis.durable.worker.reporter import Reporter
from aldis.durable.worker.runs import Job
from aldis.errors import GiveUp, LeaseLostError, PayloadError, RetryLater

__all__ = ["Breakers"]

_log = get_logger()

#: Seconds between two looks at the pauses of other workers.
LOOK_EVERY: Final = 5.0

#: Errors about one delivery. They neither pause a receiver nor end a row of failures.
_ABOUT_ONE_DELIVERY: Final = (GiveUp, RetryLater, PayloadError, LeaseLostError)


@dataclass(slots=True)
class _Row:
    """The failures of a receiver in a row."""

    error: type[BaseException]
    count: int = 0


class _Event(NamedTuple):
    """Something that an executor has seen and that the database does not know yet."""

    receiver: str
    kind: Literal["open", "failed", "close"]
    failures: int = 0
    reason: str = ""


class Breakers:
    """The circuit breakers of the receivers that a worker serves.

    Executors call :meth:`note` and :meth:`holds`. Only the thread of the worker's loop calls the
    other methods.

    Args:
        store: The store that keeps the pauses, for all workers of the database.
        receivers: The receivers that the worker serves, by name and alias.
        reporter: Reports the pauses.
    """

    def __init__(
        self, store: Store, receivers: Mapping[str, Durable[..., Any]], reporter: Reporter
    ) -> None:
        self._store = store
        self._settings: dict[str, Breaker] = {
            name: each.breaker for name, each in receivers.items() if each.breaker is not None
        }
        self._served = frozenset(receivers)
        self._reporter = reporter
        self._changing = ForkSafeLock()
        self._rows: dict[str, _Row] = {}
        self._paused: dict[str, float] = {}  # when the next trial is due, by receiver
        self._events: deque[_Event] = deque()
        self._looked_at = float("-inf")

    # -- executors ---------------------------------------------------------------------------------

    def holds(self, job: Job) -> bool:
        """Return whether a claimed delivery must not start, because its receiver is paused."""
        return not job.is_trial and job.claimed.receiver in self._paused

    def note(self, result: AttemptResult) -> None:
        """Count a failure, or note a success. It is called before the thread takes another job."""
        if not result.started:
            return
        name, error = result.job.claimed.receiver, result.error
        if result.failure is None or (
            result.job.is_trial and isinstance(error, (GiveUp, RetryLater))
        ):
            if name in self._rows or name in self._paused:
                self._note_success(name)
        elif (
            name in self._settings
            and error is not None
            and not isinstance(error, _ABOUT_ONE_DELIVERY)
        ):
            self._note_failure(result, name, type(error))

    def _note_success(self, name: str) -> None:
        with self._changing.lock:
            self._rows.pop(name, None)
            if name in self._paused:
                self._events.append(_Event(name, "close"))

    def _note_failure(self, result: AttemptResult, name: str, error: type[BaseException]) -> None:
        reason = "" if result.failure is None else result.failure.reason
        with self._changing.lock:
            if result.job.is_trial:
                self._events.append(_Event(name, "failed", reason=reason))
                return
            if name in self._paused:  # it began before the pause
                return
            row = self._rows.get(name)
            if row is None or row.error is not error:
                row = self._rows[name] = _Row(error)
            row.count += 1
            settings = self._settings[name]
            if row.count >= settings.failures:
                del self._rows[name]
                self._paused[name] = monotonic() + settings.first_pause
                self._events.append(_Event(name, "open", row.count, reason))

    # -- the loop ----------------------------------------------------------------------------------

    def save(self) -> None:
        """Save the pauses that have begun or ended, and report them.

        Raises:
            OutboxError: The database is unavailable. The next call saves them.
        """
        while self._events:
            event = self._events[0]
            if event.kind == "open":
                self._open(event)
            elif event.kind == "failed":
                self._store.fail_trial(event.receiver, event.reason)
            else:
                self._close(event.receiver)
            self._events.popleft()

    def _open(self, event: _Event) -> None:
        pause = self._settings[event.receiver].first_pause
        if self._store.open_breaker(event.receiver, event.failures, event.reason, pause):
            self._reporter.receiver_paused(event.receiver, event.failures, event.reason, pause)

    def _close(self, receiver: str) -> None:
        closed = self._store.close_breaker(receiver)
        with self._changing.lock:
            self._paused.pop(receiver, None)
        if closed:
            self._reporter.receiver_resumed(receiver)

    def due(self) -> Iterator[BreakerState]:
        """Yield the paused receivers whose next trial is due. It learns of other workers' pauses.

        Raises:
            OutboxError: The database is unavailable.
        """
        if self.due_in() > 0 and monotonic() - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now = monotonic()
        found = [each for each in self._store.breakers() if each.receiver in self._served]
        with self._changing.lock:
            unsaved = {event.receiver for event in self._events}
            for name in [each for each in self._paused if each not in unsaved]:
                del self._paused[name]
            self._paused |= {each.receiver: now + each.trial_in for each in found}
        for each in found:
            if each.trial_in <= 0:
                self._paused[each.receiver] = now + LOOK_EVERY  # unless this worker begins it
                yield each

    def note_resumed(self, receivers: Iterable[str]) -> None:
        """Note which receivers are not paused, according to the database."""
        if not self._paused:
            return
        with self._changing.lock:
            unsaved = {event.receiver for event in self._events}
            for name in receivers:
                if name not in unsaved:
                    self._paused.pop(name, None)

    def begin_trial(self, lease: str, state: BreakerState) -> bool:
        """Let this worker try a receiver; return false if another worker does it."""
        # A receiver whose breaker was switched off is tried all the same, until it succeeds.
        settings = self._settings.get(state.receiver) or Breaker()
        pause = settings.pause(state.trials + 1)
        if not self._store.begin_trial(lease, state.receiver, pause):
            return False
        self._paused[state.receiver] = monotonic() + pause
        return True

    def due_in(self) -> float:
        """Return the seconds until the next known trial; infinity if no receiver is paused."""
        return min(list(self._paused.values()), default=float("inf")) - monotonic()
