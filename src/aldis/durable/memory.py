"""A store in memory: for tests, and to try things out. What it keeps is gone with the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event, RLock
from typing import Any

from aldis.durable.facts import (
    DEAD_AFTER,
    OVER,
    SUSPECT_AFTER,
    WAITING,
    Choice,
    Claimed,
    Delivery,
    Due,
    Failure,
    Load,
    NewDelivery,
    State,
)
from aldis.durable.memory_rows import Row, Rows
from aldis.transactions import buffer_of

__all__ = ["MemoryStore"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Transaction:
    """What is to be done at the end of a ``with`` block that ends well."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], object]] = []


class _Waker:
    def __init__(self, forget: Callable[[_Waker], None]) -> None:
        self._woken = Event()
        self._forget = forget

    def wait(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self._forget(self)


class MemoryStore:
    """Keeps deliveries in the process: a :class:`Store <aldis.durable.store.Store>`.

    What is recorded through a session of SQLAlchemy is there once that has committed, but a crash
    in between loses it: memory has no part in the session's transaction.

    Args:
        clock: Returns the time, with its zone. For tests that do not want to wait.
    """

    def __init__(self, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._lock = RLock()
        self._rows = Rows(clock, self._wake)
        self._leases: dict[str, datetime] = {}
        self._paused: set[str] = set()
        self._wakers: list[_Waker] = []

    def check(self) -> None:
        """Do nothing: memory can always be used."""

    # -- senders ---------------------------------------------------------------------------------

    def add(self, handle: Any, deliveries: Sequence[NewDelivery]) -> None:
        """Record ``deliveries`` when the transaction of ``handle`` ends well; at once for none."""
        _at_commit(handle, lambda: self._add(tuple(deliveries)))

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Begin a transaction; what it yields can be given to :meth:`add`."""
        begun = _Transaction()
        yield begun
        with self._lock:
            for step in begun.steps:
                step()

    def _add(self, deliveries: Sequence[NewDelivery]) -> None:
        with self._lock:
            for new in deliveries:
                self._rows.add(new)

    # -- workers ---------------------------------------------------------------------------------

    def kept_open(self) -> AbstractContextManager[None]:
        """Nothing takes long to open here."""
        return nullcontext()

    def enlist(self, worker: str, name: str, lease: float) -> None:  # noqa: ARG002 - nobody asks
        """Begin a lease of ``lease`` seconds."""
        with self._lock:
            self._leases[worker] = self._clock() + timedelta(seconds=lease)

    def renew(self, worker: str, lease: float) -> bool:
        """Extend a lease to ``lease`` seconds from now; false if it has been taken away."""
        with self._lock:
            if worker not in self._leases:
                return False
            self._leases[worker] = self._clock() + timedelta(seconds=lease)
            return True

    def retire(self, worker: str) -> int:
        """End a lease; what it still had is pending again, and not counted as an attempt."""
        with self._lock:
            self._leases.pop(worker, None)
            held = [row for row in self._rows.running.values() if row.worker == worker]
            for row in held:
                self._wait_again(row, counts=False)
            return len(held)

    def reap(self) -> int:
        """Take everything from workers whose lease has run out, and return how much it was."""
        with self._lock:
            now = self._clock()
            self._leases = {who: until for who, until in self._leases.items() if until > now}
            lost = [row for row in self._rows.running.values() if row.worker not in self._leases]
            for row in lost:
                row.lost += 1
                if row.lost >= DEAD_AFTER:
                    row.reason = f"{row.lost} workers were lost with it, one after the other"
                    row.traceback = None
                    self._rows.set(row, State.DEAD)
                else:
                    self._wait_again(row, counts=row.lost >= SUSPECT_AFTER)
            return len(lost)

    def due(self, receivers: Sequence[str]) -> list[Due]:
        """Return which of ``receivers`` have something pending, and when; not those paused."""
        found = []
        with self._lock:
            now = self._clock()
            for receiver in receivers:
                for state in WAITING:
                    first = None if receiver in self._paused else self._rows.first(receiver, state)
                    if first is not None:
                        seconds = (first.due_at - now).total_seconds()
                        found.append(Due(receiver, seconds, state is State.SUSPECT))
        return found

    def claim(
        self, worker: str, receiver: str, limit: int, *, ordered: bool, alone: bool = False
    ) -> list[Claimed]:
        """Give up to ``limit`` due deliveries to a worker, in the order in which they are due."""
        state = State.SUSPECT if alone else State.PENDING
        claimed: list[Claimed] = []
        with self._lock:
            now = self._clock()
            lease = self._leases.get(worker)
            if lease is None or lease <= now or receiver in self._paused:
                return claimed
            while len(claimed) < limit:
                row = self._rows.first(receiver, state)
                if row is None or row.due_at > now:
                    break
                if ordered and self._rows.is_blocked(row):
                    self._rows.set(row, State.BEHIND)
                    continue
                row.attempts += 1
                row.worker = worker
                self._rows.set(row, State.RUNNING)
                claimed.append(row.claimed(worker))
        return claimed

    def finish(self, claimed: Sequence[Claimed]) -> int:
        """Complete deliveries that their worker still has, and return how many those were."""
        with self._lock:
            held = self._rows.held(claimed)
            for row in held:
                self._rows.set(row, State.DONE)
            return len(held)

    def finish_in(self, session: Any, claimed: Claimed) -> bool:
        """Complete one when ``session`` has committed; false if the worker has lost it."""
        with self._lock:
            if not self._rows.held([claimed]):
                return False
        _at_commit(session, lambda: self.finish([claimed]))
        return True

    def fail(self, claimed: Claimed, failure: Failure) -> bool:
        """Have one tried again, or make it a dead letter; false if the worker has lost it."""
        with self._lock:
            for row in self._rows.held([claimed]):
                row.reason, row.traceback = failure.reason, failure.traceback
                if failure.retry_in is not None:
                    row.due_at = self._clock() + timedelta(seconds=failure.retry_in)
                    self._wait_again(row, counts=failure.counts)
                else:
                    row.attempts -= not failure.counts
                    self._rows.set(row, State.DEAD)
                return True
        return False

    def give_back(self, claimed: Sequence[Claimed]) -> int:
        """Make deliveries pending again that were not begun; that is no attempt."""
        with self._lock:
            held = self._rows.held(claimed)
            for row in held:
                self._wait_again(row, counts=False)
            return len(held)

    def mend(self) -> int:
        """Free deliveries that wait behind nothing; there are none, as there are no races here."""
        return 0

    def waker(self) -> _Waker:
        """Return what waits for new deliveries."""
        with self._lock:
            waker = _Waker(self._forget)
            self._wakers = [*self._wakers, waker]
            return waker

    def _forget(self, waker: _Waker) -> None:
        with self._lock:
            self._wakers = [each for each in self._wakers if each is not waker]

    # -- operators -------------------------------------------------------------------------------

    def loads(self) -> list[Load]:
        """Return how much there is of each receiver that has anything, or is paused, by name."""
        counts: dict[str, dict[State, int]] = {}
        oldest: dict[str, float] = {}
        with self._lock:
            now = self._clock()
            for row in self._rows.chosen(Choice()):
                of_receiver = counts.setdefault(row.receiver, {})
                of_receiver[row.state] = of_receiver.get(row.state, 0) + 1
                if row.state in WAITING and row.due_at <= now:
                    age = (now - row.due_at).total_seconds()
                    oldest[row.receiver] = max(age, oldest.get(row.receiver, 0.0))
            return [
                Load(name, counts.get(name, {}), oldest.get(name), name in self._paused)
                for name in sorted({*counts, *self._paused})
            ]

    def find(self, choice: Choice, *, limit: int, newest_first: bool = False) -> list[Delivery]:
        """Return the chosen deliveries by number."""
        with self._lock:
            rows = self._rows.chosen(choice)
            return [
                row.delivery() for row in islice(reversed(rows) if newest_first else rows, limit)
            ]

    def count(self, choice: Choice) -> int:
        """Return how many are chosen."""
        with self._lock:
            return len(self._rows.chosen(choice))

    def replay(self, choice: Choice) -> Iterator[int]:
        """Make the chosen dead letters and discarded ones pending, with all attempts again."""
        with self._lock:
            rows = self._rows.chosen(choice, among=(State.DEAD, State.DISCARDED))
            for row in rows:
                row.attempts = row.lost = 0
                row.due_at = self._clock()
                self._rows.set(row, State.PENDING)
            return _batches(len(rows))

    def discard(self, choice: Choice) -> Iterator[int]:
        """Have the chosen that are pending, behind or dead never run."""
        with self._lock:
            rows = self._rows.chosen(choice, among=(*WAITING, State.BEHIND, State.DEAD))
            for row in rows:
                self._rows.set(row, State.DISCARDED)
            return _batches(len(rows))

    def pause(self, receiver: str) -> bool:
        """Hold back a receiver's deliveries; false if they were already."""
        with self._lock:
            before = len(self._paused)
            self._paused.add(receiver)
            return len(self._paused) > before

    def resume(self, receiver: str) -> bool:
        """Deliver again; false if nothing was held back."""
        with self._lock:
            before = len(self._paused)
            self._paused.discard(receiver)
            self._wake()
            return len(self._paused) < before

    def prune(self, older_than: float) -> Iterator[int]:
        """Delete what was done or discarded more than ``older_than`` seconds ago."""
        with self._lock:
            rows = self._prunable(older_than)
            for row in rows:
                self._rows.delete(row)
            return _batches(len(rows))

    def count_prunable(self, older_than: float) -> int:
        """Return how many :meth:`prune` would delete."""
        with self._lock:
            return len(self._prunable(older_than))

    def pass_time(self, seconds: float) -> None:
        """Have all that waits be due ``seconds`` sooner, as if they had passed; for tests."""
        with self._lock:
            for row in self._rows.chosen(Choice(), among=(*WAITING, State.BEHIND)):
                row.due_at -= timedelta(seconds=seconds)
                self._rows.set(row, row.state)

    def _wait_again(self, row: Row, *, counts: bool) -> None:
        row.attempts -= not counts
        self._rows.set(row, row.waits_as)

    def _prunable(self, older_than: float) -> list[Row]:
        before = self._clock() - timedelta(seconds=older_than)
        rows = self._rows.chosen(Choice(), among=OVER)
        return [row for row in rows if row.finished_at is not None and row.finished_at <= before]

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.wake()


def _at_commit(handle: Any, step: Callable[[], object]) -> None:
    """Take ``step`` when the transaction of ``handle`` is committed; now if there is none."""
    if isinstance(handle, _Transaction):
        handle.steps.append(step)
        return
    session = getattr(handle, "sync_session", handle)
    if hasattr(session, "identity_map") and session.in_transaction():
        buffer_of(session).call(session, step)
    else:
        step()


def _batches(count: int) -> Iterator[int]:
    return iter([count] if count else [])
