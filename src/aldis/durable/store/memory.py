"""A store in memory, for tests and experiments. Its deliveries are gone when the process ends."""

from __future__ import annotations

from _thread import RLock
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import islice
from operator import attrgetter
from typing import Any

from aldis.core.process import ForkSafeLock
from aldis.durable._event import SafeEvent
from aldis.durable.types import (
    DEAD_AFTER,
    OVER,
    QUARANTINE_AFTER,
    WAITING,
    AttemptFailure,
    BreakerState,
    ClaimedDelivery,
    Delivery,
    DeliveryFilter,
    DueReceiver,
    LostWorker,
    NewDelivery,
    ObservedDelivery,
    ReceiverStats,
    RescueResult,
    RunLimit,
    State,
)
from aldis.transactions import buffer_of

__all__ = ["MemoryStore"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryStore:
    """Keeps deliveries in the process.

    :class:`~aldis.durable.store.Store` describes the methods. If you send in a session of
    SQLAlchemy, the store records the deliveries after the commit. A crash in between loses them,
    because memory takes no part in the session's transaction.

    Args:
        clock: Returns the time with a time zone. Tests pass their own, so that they need not wait.
    """

    def __init__(self, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._changing = ForkSafeLock()
        self._held: RLock | None = None  # the lock, while an operation runs
        self._new: deque[NewDelivery] = deque()
        self._rows = _Rows(clock, self._wake)
        self._leases: dict[str, datetime] = {}
        self._names: dict[str, str] = {}  # of the workers, by lease
        self._paused: set[str] = set()
        self._seen: dict[str, datetime] = {}  # when a worker registered each receiver
        self._breakers: dict[str, _Breaker] = {}
        self._notifiers: list[_Notifier] = []

    def check(self) -> None:
        """Do nothing: memory is always ready."""

    # -- senders ---------------------------------------------------------------------------------

    def add(self, handle: Any, deliveries: Sequence[NewDelivery]) -> None:
        """Record deliveries when the transaction of ``handle`` has committed."""
        _after_commit(handle, lambda: self._add(tuple(deliveries)))

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Begin a transaction that :meth:`add` accepts."""
        begun = _Transaction()
        yield begun
        with self._exclusive():
            for step in begun.steps:
                step()

    def _add(self, deliveries: Sequence[NewDelivery]) -> None:
        self._new.extend(deliveries)
        with self._exclusive():
            pass

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Run an operation alone, and then add the new deliveries.

        A ``__del__`` or a signal handler may send in the middle of an operation in the same thread.
        The operation adds that delivery at its end.
        """
        lock = self._changing.lock
        with lock:
            inside_another = self._held is lock  # another lock is that of a thread before a fork
            self._held = lock
            try:
                yield
            finally:
                if not inside_another:
                    try:
                        while self._new:
                            self._rows.add(self._new.popleft())
                    finally:
                        self._held = None

    # -- workers ---------------------------------------------------------------------------------

    def kept_open(self) -> AbstractContextManager[None]:
        """Do nothing: memory has no connections."""
        return nullcontext()

    def register_worker(self, worker: str, name: str, lease: float) -> None:
        """Begin a lease."""
        with self._exclusive():
            self._names[worker] = name
            self._leases[worker] = self._clock() + timedelta(seconds=lease)

    def heartbeat(self, worker: str, lease: float) -> bool:
        """Renew a lease; return false if it was taken away."""
        with self._exclusive():
            if worker not in self._leases:
                return False
            self._leases[worker] = self._clock() + timedelta(seconds=lease)
            return True

    def unregister_worker(self, worker: str) -> int:
        """End a lease and release its deliveries; return their number."""
        with self._exclusive():
            self._leases.pop(worker, None)
            self._names.pop(worker, None)
            held = [row for row in self._rows.running.values() if row.worker == worker]
            for row in held:
                self._release(row, counts=False)
            return len(held)

    def rescue(self) -> RescueResult:
        """Take the deliveries of every worker whose lease has expired."""
        with self._exclusive():
            now = self._clock()
            held = Counter(row.worker for row in self._rows.running.values())
            expired = [worker for worker, end in self._leases.items() if end <= now]
            for worker in expired:
                del self._leases[worker]
            lost = [row for row in self._rows.running.values() if row.worker not in self._leases]
            for row in lost:
                row.lost_workers += 1
                if row.lost_workers >= DEAD_AFTER:
                    row.reason = f"{row.lost_workers} workers were lost while they had the delivery"
                    row.traceback = None
                    self._rows.set(row, State.DEAD)
                else:
                    self._release(row, counts=row.lost_workers >= QUARANTINE_AFTER)
            workers = tuple(LostWorker(self._names.pop(each), held[each]) for each in expired)
            dead = tuple(row.delivery() for row in lost if row.state is State.DEAD)
            return RescueResult(len(lost), workers, dead)

    def due(self, receivers: Sequence[str]) -> list[DueReceiver]:
        """Return which receivers have waiting deliveries, and when the first one is due."""
        found = []
        with self._exclusive():
            now = self._clock()
            for receiver in receivers:
                for state in WAITING:
                    first = None if receiver in self._paused else self._rows.first(receiver, state)
                    if first is not None:
                        seconds = (first.due_at - now).total_seconds()
                        found.append(DueReceiver(receiver, seconds, state is State.QUARANTINED))
        return found

    def claim(  # noqa: PLR0913 - each option limits the claim in another way
        self,
        worker: str,
        receiver: str,
        limit: int,
        *,
        ordered: bool,
        exclusive: bool = False,
        at_most: RunLimit | None = None,
        run: int = 1,
    ) -> list[ClaimedDelivery]:
        """Give due deliveries of a receiver to a worker."""
        state = State.QUARANTINED if exclusive else State.PENDING
        run = 1 if exclusive else run
        claimed: list[ClaimedDelivery] = []
        with self._exclusive():
            now = self._clock()
            lease = self._leases.get(worker)
            breaker = self._breakers.get(receiver)
            is_trial = breaker is not None and breaker.trial_by == worker
            if lease is None or lease <= now or (receiver in self._paused and not is_trial):
                return claimed
            if at_most is not None:
                running = self._rows.running.values()
                limit = min(
                    limit, at_most.most - sum(row.receiver in at_most.names for row in running)
                )
            while len(claimed) < limit:
                row = self._rows.first(receiver, state)
                if row is None or row.due_at > now:
                    break
                if ordered and self._rows.is_blocked(row, worker, run):
                    self._rows.set(row, State.BLOCKED)
                    continue
                while row is not None and len(claimed) < limit:
                    row.attempts += 1
                    row.worker = worker
                    self._rows.set(row, State.RUNNING)
                    claimed.append(row.claimed(worker))
                    row = self._rows.continuation(row, run) if ordered else None
        return claimed

    def register_receivers(self, names: Sequence[str]) -> None:
        """Record that a worker serves receivers now."""
        with self._exclusive():
            self._seen |= dict.fromkeys(names, self._clock())

    def registered_receivers(self) -> dict[str, float]:
        """Return for how many seconds no worker has registered each known receiver."""
        with self._exclusive():
            now = self._clock()
            return {name: (now - at).total_seconds() for name, at in self._seen.items()}

    def complete(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Complete the deliveries that their worker still holds; return their number."""
        with self._exclusive():
            held = self._rows.held(claimed)
            for row in held:
                self._rows.set(row, State.DONE)
            return len(held)

    def complete_in(self, session: Any, claimed: ClaimedDelivery) -> bool:
        """Complete a delivery when ``session`` has committed; return false if it was lost."""
        with self._exclusive():
            if not self._rows.held([claimed]):
                return False
        _after_commit(session, lambda: self.complete([claimed]))
        return True

    def unblock(self, claimed: Sequence[ClaimedDelivery]) -> int:  # noqa: ARG002 - complete() does it
        """Return 0: the completion unblocks the next delivery of its key."""
        return 0

    def fail(self, claimed: ClaimedDelivery, failure: AttemptFailure) -> bool:
        """Retry a delivery later, or make it a dead letter; return false if it was lost."""
        with self._exclusive():
            for row in self._rows.held([claimed]):
                row.reason, row.traceback = failure.reason, failure.traceback
                if failure.retry_in is not None:
                    row.due_at = self._clock() + timedelta(seconds=failure.retry_in)
                    self._release(row, counts=failure.counts)
                else:
                    row.attempts -= not failure.counts
                    self._rows.set(row, State.DEAD)
                return True
        return False

    def release(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Make claimed deliveries pending again without counting an attempt."""
        with self._exclusive():
            held = self._rows.held(claimed)
            for row in held:
                self._release(row, counts=False)
            return len(held)

    def repair_order(self) -> int:
        """Return 0: the lock prevents the race that blocks a delivery wrongly."""
        return 0

    def open_breaker(self, receiver: str, failures: int, reason: str, pause: float) -> bool:
        """Pause a receiver that fails; return false if it was paused already."""
        with self._exclusive():
            if receiver in self._paused:
                return False
            now = self._clock()
            self._paused.add(receiver)
            trial_at = now + timedelta(seconds=pause)
            self._breakers[receiver] = _Breaker(failures, reason, now, trial_at)
            return True

    def breakers(self) -> list[BreakerState]:
        """Return the receivers that workers have paused, by name."""
        with self._exclusive():
            now = self._clock()
            return [each.state(name, now) for name, each in sorted(self._breakers.items())]

    def begin_trial(self, worker: str, receiver: str, pause: float) -> bool:
        """Let a lease claim deliveries of a receiver that workers have paused."""
        with self._exclusive():
            found = self._breakers.get(receiver)
            now = self._clock()
            if found is None or found.trial_at > now:
                return False
            if found.trial_by is not None and any(
                row.receiver == receiver and row.worker == found.trial_by
                for row in self._rows.running.values()
            ):
                return False
            found.trial_at, found.trial_by = now + timedelta(seconds=pause), worker
            return True

    def fail_trial(self, receiver: str, reason: str) -> bool:
        """Count a failed trial; return false if the workers have not paused the receiver."""
        with self._exclusive():
            found = self._breakers.get(receiver)
            if found is not None:
                found.trials += 1
                found.reason = reason
            return found is not None

    def close_breaker(self, receiver: str) -> bool:
        """End a pause by the workers; return false if there is none."""
        with self._exclusive():
            if self._breakers.pop(receiver, None) is None:
                return False
            self._paused.discard(receiver)
            self._wake()
            return True

    def notifier(self) -> _Notifier:
        """Return a new notifier. The caller closes it."""
        with self._exclusive():
            notifier = _Notifier(self._forget)
            self._notifiers = [*self._notifiers, notifier]
            return notifier

    def _forget(self, notifier: _Notifier) -> None:
        with self._exclusive():
            self._notifiers = [each for each in self._notifiers if each is not notifier]

    # -- operators -------------------------------------------------------------------------------

    def stats(self) -> list[ReceiverStats]:
        """Count the deliveries of each receiver that has any or is paused, sorted by name."""
        counts: dict[str, dict[State, int]] = {}
        oldest: dict[str, float] = {}
        with self._exclusive():
            now = self._clock()
            for row in self._rows.select(DeliveryFilter()):
                of_receiver = counts.setdefault(row.receiver, {})
                of_receiver[row.state] = of_receiver.get(row.state, 0) + 1
                if row.state in WAITING and row.due_at <= now:
                    age = (now - row.due_at).total_seconds()
                    oldest[row.receiver] = max(age, oldest.get(row.receiver, 0.0))
            return [
                ReceiverStats(
                    name,
                    counts.get(name, {}),
                    oldest.get(name),
                    name in self._paused,
                    None if (found := self._breakers.get(name)) is None else found.state(name, now),
                )
                for name in sorted({*counts, *self._paused})
            ]

    def find(
        self, where: DeliveryFilter, *, limit: int, newest_first: bool = False
    ) -> list[Delivery]:
        """Return the selected deliveries in the order of their ids."""
        with self._exclusive():
            rows = self._rows.select(where)
            return [
                row.delivery() for row in islice(reversed(rows) if newest_first else rows, limit)
            ]

    def count(self, where: DeliveryFilter) -> int:
        """Count the selected deliveries."""
        with self._exclusive():
            return len(self._rows.select(where))

    def replay(self, where: DeliveryFilter, *, batch: int | None = None) -> Iterator[int]:
        """Make the selected dead and discarded deliveries pending again; yield batch sizes."""
        if batch is None:
            with self._exclusive():
                return _one_batch(self._replay(where, None, 0)[0])
        return self._replay_in_batches(where, batch)

    def _replay_in_batches(self, where: DeliveryFilter, batch: int) -> Iterator[int]:
        last = 0
        while True:
            with self._exclusive():
                count, last = self._replay(where, batch, last)
            if not count:
                return
            yield count

    def _replay(self, where: DeliveryFilter, most: int | None, after: int) -> tuple[int, int]:
        """Replay up to ``most`` deliveries after an id; return their number and the last id."""
        found = self._rows.select(where, among=(State.DEAD, State.DISCARDED))
        rows = [row for row in found if row.id > after][:most]
        for row in rows:
            row.attempts = row.lost_workers = 0
            row.due_at = self._clock()
            self._rows.set(row, State.PENDING)
        return len(rows), rows[-1].id if rows else after

    def discard(self, where: DeliveryFilter) -> Iterator[int]:
        """Discard the selected deliveries that are waiting, blocked or dead; yield batch sizes."""
        with self._exclusive():
            rows = self._rows.select(where, among=(*WAITING, State.BLOCKED, State.DEAD))
            for row in rows:
                self._rows.set(row, State.DISCARDED)
            return _one_batch(len(rows))

    def pause(self, receiver: str) -> bool:
        """Stop claims for a receiver; return false if it was paused already."""
        with self._exclusive():
            if self._breakers.pop(receiver, None) is not None:
                return True
            before = len(self._paused)
            self._paused.add(receiver)
            return len(self._paused) > before

    def resume(self, receiver: str) -> bool:
        """Allow claims for a receiver again; return false if it was not paused."""
        with self._exclusive():
            before = len(self._paused)
            self._paused.discard(receiver)
            self._breakers.pop(receiver, None)
            self._wake()
            return len(self._paused) < before

    def prune(self, older_than: float) -> Iterator[int]:
        """Delete deliveries that ended ``older_than`` seconds ago; yield batch sizes."""
        with self._exclusive():
            rows = self._prunable(older_than)
            for row in rows:
                self._rows.delete(row)
            return _one_batch(len(rows))

    def count_prunable(self, older_than: float) -> int:
        """Count the deliveries that :meth:`prune` would delete."""
        with self._exclusive():
            return len(self._prunable(older_than))

    def pass_time(self, seconds: float) -> None:
        """Make every waiting and blocked delivery due ``seconds`` earlier, for tests."""
        with self._exclusive():
            for row in self._rows.select(DeliveryFilter(), among=(*WAITING, State.BLOCKED)):
                row.due_at -= timedelta(seconds=seconds)
                self._rows.set(row, row.state)

    def _release(self, row: _StoredDelivery, *, counts: bool) -> None:
        row.attempts -= not counts
        self._rows.set(row, row.waiting_state)

    def _prunable(self, older_than: float) -> list[_StoredDelivery]:
        before = self._clock() - timedelta(seconds=older_than)
        rows = self._rows.select(DeliveryFilter(), among=OVER)
        return [row for row in rows if row.finished_at is not None and row.finished_at <= before]

    def _wake(self) -> None:
        for notifier in self._notifiers:
            notifier.wake()


@dataclass(slots=True)
class _Breaker:
    """A pause by the workers."""

    failures: int
    reason: str
    since: datetime
    trial_at: datetime
    trials: int = 0
    trial_by: str | None = None

    def state(self, receiver: str, now: datetime) -> BreakerState:
        """Return the pause as the store shows it."""
        return BreakerState(
            receiver,
            self.failures,
            self.reason,
            self.trials,
            (now - self.since).total_seconds(),
            (self.trial_at - now).total_seconds(),
        )


class _Notifier:
    """Waits until the store wakes it."""

    def __init__(self, forget: Callable[[_Notifier], None]) -> None:
        self._woken = SafeEvent()
        self._forget = forget

    def wait(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self._forget(self)


# -- transactions ----------------------------------------------------------------------------------


class _Transaction:
    """The steps to take when a ``with`` block ends without an error."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], object]] = []


def _after_commit(handle: Any, step: Callable[[], object]) -> None:
    """Call ``step`` when the transaction of ``handle`` has committed, or now if there is none."""
    if isinstance(handle, _Transaction):
        handle.steps.append(step)
        return
    session = getattr(handle, "sync_session", handle)
    if hasattr(session, "identity_map") and session.in_transaction():
        buffer_of(session).call(session, step)
    else:
        step()


def _one_batch(count: int) -> Iterator[int]:
    return iter([count] if count else [])


# -- rows ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _StoredDelivery:
    """A :class:`Delivery` that can change."""

    id: int
    emission_id: str
    receiver: str
    signal: str
    payload: str
    order_key: str | None
    caused_by: str | None
    traceparent: str | None
    created_at: datetime
    due_at: datetime
    state: State = State.PENDING
    finished_at: datetime | None = None
    attempts: int = 0
    lost_workers: int = 0
    worker: str | None = None
    reason: str | None = None
    traceback: str | None = None

    @property
    def waiting_state(self) -> State:
        """The state in which the delivery waits for a worker."""
        return State.QUARANTINED if self.lost_workers >= QUARANTINE_AFTER else State.PENDING

    def delivery(self) -> Delivery:
        """Copy the row for operators."""
        return Delivery(*_fields_of(self))

    def claimed(self, worker: str) -> ClaimedDelivery:
        """Copy the row for ``worker``."""
        return ClaimedDelivery(
            id=self.id,
            emission_id=self.emission_id,
            receiver=self.receiver,
            signal=self.signal,
            payload=self.payload,
            order_key=self.order_key,
            caused_by=self.caused_by,
            traceparent=self.traceparent,
            attempt=self.attempts,
            lost_workers=self.lost_workers,
            worker=worker,
        )

    def matches(self, where: DeliveryFilter) -> bool:
        """Return whether the filter selects the row."""
        return (
            (where.ids is None or self.id in where.ids)
            and (where.states is None or self.state in where.states)
            and where.receiver in {None, self.receiver}
            and where.signal in {None, self.signal}
            and where.emission_id in {None, self.emission_id}
            and (where.error is None or where.error.lower() in self.error.lower())
            and (where.since is None or self.created_at >= where.since)
            and (where.until is None or self.created_at < where.until)
            and where.order_key in {None, self.order_key}
            and (where.after_id is None or self.id > where.after_id)
            and (where.before_id is None or self.id < where.before_id)
        )

    @property
    def error(self) -> str:
        """The text of the last error."""
        return f"{self.reason or ''}\n{self.traceback or ''}"


_fields_of = attrgetter(*Delivery.__match_args__)


@dataclass(slots=True)
class _OrderedRows:
    """The rows with one receiver and one ordering key."""

    ids: list[int] = field(default_factory=list)  # a heap; _Rows._head removes ended rows from it
    waiting: list[int] = field(default_factory=list)  # a heap of those that do not run
    running: dict[int, str | None] = field(default_factory=dict)  # the workers, by id


class _Rows:
    """All rows. The store's lock protects them.

    After each change, nothing but a running row blocks the first unfinished row of a key.

    Args:
        clock: Returns the time with a time zone.
        wake: Called when a row waits for a worker.
    """

    def __init__(self, clock: Callable[[], datetime], wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._last_id = 0
        self._all: dict[int, _StoredDelivery] = {}  # by id, in the order of ids
        self.running: dict[int, _StoredDelivery] = {}
        # Heaps of due times and ids. `first` removes the entries that are no longer true.
        self._waiting: defaultdict[tuple[str, State], list[tuple[datetime, int]]]
        self._waiting = defaultdict(list)
        self._ordered: defaultdict[tuple[str, str], _OrderedRows] = defaultdict(_OrderedRows)

    def add(self, new: NewDelivery) -> None:
        """Add a row."""
        now = self._clock()
        self._last_id += 1
        self._all[self._last_id] = row = _StoredDelivery(
            id=self._last_id,
            emission_id=new.emission_id,
            receiver=new.receiver,
            signal=new.signal,
            payload=new.payload,
            order_key=new.order_key,
            caused_by=new.caused_by,
            traceparent=new.traceparent,
            created_at=now,
            due_at=now + timedelta(seconds=new.delay),
        )
        self._index(row)
        if isinstance(new, ObservedDelivery):
            new.report("recorded", row.id)

    def delete(self, row: _StoredDelivery) -> None:
        """Delete a row that has ended."""
        del self._all[row.id]

    def select(
        self, where: DeliveryFilter, among: Sequence[State] = tuple(State)
    ) -> list[_StoredDelivery]:
        """Return the selected rows that are in one of the states, in the order of their ids."""
        return [row for row in self._all.values() if row.state in among and row.matches(where)]

    def held(self, claimed: Sequence[ClaimedDelivery]) -> list[_StoredDelivery]:
        """Return the rows that their worker still holds, for the same attempt."""
        rows = [(self.running.get(each.id), each) for each in claimed]
        return [
            row
            for row, each in rows
            if row and (row.worker, row.attempts) == (each.worker, each.attempt)
        ]

    def set(self, row: _StoredDelivery, state: State) -> None:
        """Change the state of a row, and unblock the row that waited for it."""
        before, row.state = row.state, state
        row.finished_at = self._clock() if state in {*OVER, State.DEAD} else None
        if state is State.RUNNING:
            self.running[row.id] = row
        elif before is State.RUNNING:
            del self.running[row.id]
            row.worker = row.worker if state is State.DONE else None
        if row.order_key is not None:
            rows = self._ordered[row.receiver, row.order_key]
            if state is State.RUNNING:
                rows.running[row.id] = row.worker
            else:
                rows.running.pop(row.id, None)
        self._index(row)
        if before is State.RUNNING and state is State.DONE and row.order_key is not None:
            self._unblock_continuation(row.receiver, row.order_key)

    def _index(self, row: _StoredDelivery) -> None:
        """Enter a row in the heaps: by due time if it waits, and by its ordering key."""
        if row.state in WAITING:
            heappush(self._waiting[row.receiver, row.state], (row.due_at, row.id))
            self._wake()
        if row.order_key is not None:
            if row.state not in OVER:
                rows = self._ordered[row.receiver, row.order_key]
                heappush(rows.ids, row.id)
                if row.state is not State.RUNNING:
                    heappush(rows.waiting, row.id)
            self._unblock_head(row.receiver, row.order_key)

    def first(self, receiver: str, state: State) -> _StoredDelivery | None:
        """Return the waiting row that is due first."""
        heap = self._waiting[receiver, state]
        while heap:
            due_at, number = heap[0]
            row = self._all.get(number)
            if row and (row.state, row.due_at) == (state, due_at):
                return row
            heappop(heap)
        return None

    def is_blocked(self, row: _StoredDelivery, worker: str, run: int) -> bool:
        """Return whether another row with the same key must end before ``worker`` gets this one.

        The worker may hold up to ``run`` rows of a key.
        """
        if row.order_key is None:
            return False
        rows = self._ordered[row.receiver, row.order_key]
        return (
            self._first_waiting(rows) is not row
            or len(rows.running) >= run
            or any(who != worker or number > row.id for number, who in rows.running.items())
        )

    def continuation(self, row: _StoredDelivery, run: int) -> _StoredDelivery | None:
        """Return the blocked row that follows a claimed one, if the worker may hold it, too."""
        if row.order_key is None or row.worker is None:
            return None
        following = self._first_waiting(self._ordered[row.receiver, row.order_key])
        if following is None or following.state is not State.BLOCKED:
            return None
        if following.waiting_state is not State.PENDING:  # it must run alone
            return None
        return None if self.is_blocked(following, row.worker, run) else following

    def _first_waiting(self, rows: _OrderedRows) -> _StoredDelivery | None:
        """Return the first unfinished row of a key that is not running."""
        while rows.waiting:
            row = self._all.get(rows.waiting[0])
            if row and row.state not in OVER and row.state is not State.RUNNING:
                return row
            heappop(rows.waiting)
        return None

    def _head(self, receiver: str, key: str) -> _StoredDelivery | None:
        """Return the first unfinished row of a key."""
        ids = self._ordered[receiver, key].ids
        while ids:
            row = self._all.get(ids[0])
            if row and row.state not in OVER:
                return row
            heappop(ids)
        return None

    def _unblock_continuation(self, receiver: str, key: str) -> None:
        """Let the worker that runs other rows of the key claim the next one, too."""
        rows = self._ordered.get((receiver, key))
        following = None if rows is None else self._first_waiting(rows)
        if following is not None and following.state is State.BLOCKED:
            self.set(following, following.waiting_state)

    def _unblock_head(self, receiver: str, key: str) -> None:
        head = self._head(receiver, key)
        if head is None:
            del self._ordered[receiver, key]
        elif head.state is State.BLOCKED and not self._ordered[receiver, key].running:
            self.set(head, head.waiting_state)
