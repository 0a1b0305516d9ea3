"""A store in memory: for tests, and to try things out. What it keeps is gone with the process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import islice
from operator import attrgetter
from threading import Event, RLock
from typing import Any

from aldis.durable.types import (
    DEAD_AFTER,
    OVER,
    QUARANTINE_AFTER,
    WAITING,
    AttemptFailure,
    ClaimedDelivery,
    Delivery,
    DeliveryFilter,
    DueReceiver,
    NewDelivery,
    ReceiverStats,
    State,
)
from aldis.transactions import buffer_of

__all__ = ["MemoryStore"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Transaction:
    """What is to be done at the end of a ``with`` block that ends well."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], object]] = []


class _Notifier:
    def __init__(self, forget: Callable[[_Notifier], None]) -> None:
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
        self._rows = _Rows(clock, self._wake)
        self._leases: dict[str, datetime] = {}
        self._paused: set[str] = set()
        self._notifiers: list[_Notifier] = []

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

    def register_worker(self, worker: str, name: str, lease: float) -> None:  # noqa: ARG002 - nobody asks
        """Begin a lease of ``lease`` seconds."""
        with self._lock:
            self._leases[worker] = self._clock() + timedelta(seconds=lease)

    def heartbeat(self, worker: str, lease: float) -> bool:
        """Extend a lease to ``lease`` seconds from now; false if it has been taken away."""
        with self._lock:
            if worker not in self._leases:
                return False
            self._leases[worker] = self._clock() + timedelta(seconds=lease)
            return True

    def unregister_worker(self, worker: str) -> int:
        """End a lease; what it still had is pending again, and not counted as an attempt."""
        with self._lock:
            self._leases.pop(worker, None)
            held = [row for row in self._rows.running.values() if row.worker == worker]
            for row in held:
                self._wait_again(row, counts=False)
            return len(held)

    def rescue(self) -> int:
        """Take everything from workers whose lease has run out, and return how much it was."""
        with self._lock:
            now = self._clock()
            self._leases = {who: until for who, until in self._leases.items() if until > now}
            lost = [row for row in self._rows.running.values() if row.worker not in self._leases]
            for row in lost:
                row.lost_workers += 1
                if row.lost_workers >= DEAD_AFTER:
                    row.reason = (
                        f"{row.lost_workers} workers were lost with it, one after the other"
                    )
                    row.traceback = None
                    self._rows.set(row, State.DEAD)
                else:
                    self._wait_again(row, counts=row.lost_workers >= QUARANTINE_AFTER)
            return len(lost)

    def due(self, receivers: Sequence[str]) -> list[DueReceiver]:
        """Return which of ``receivers`` have something pending, and when; not those paused."""
        found = []
        with self._lock:
            now = self._clock()
            for receiver in receivers:
                for state in WAITING:
                    first = None if receiver in self._paused else self._rows.first(receiver, state)
                    if first is not None:
                        seconds = (first.due_at - now).total_seconds()
                        found.append(DueReceiver(receiver, seconds, state is State.QUARANTINED))
        return found

    def claim(
        self, worker: str, receiver: str, limit: int, *, ordered: bool, exclusive: bool = False
    ) -> list[ClaimedDelivery]:
        """Give up to ``limit`` due deliveries to a worker, in the order in which they are due."""
        state = State.QUARANTINED if exclusive else State.PENDING
        claimed: list[ClaimedDelivery] = []
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
                    self._rows.set(row, State.BLOCKED)
                    continue
                row.attempts += 1
                row.worker = worker
                self._rows.set(row, State.RUNNING)
                claimed.append(row.claimed(worker))
        return claimed

    def complete(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Complete deliveries that their worker still has, and return how many those were."""
        with self._lock:
            held = self._rows.held(claimed)
            for row in held:
                self._rows.set(row, State.DONE)
            return len(held)

    def complete_in(self, session: Any, claimed: ClaimedDelivery) -> bool:
        """Complete one when ``session`` has committed; false if the worker has lost it."""
        with self._lock:
            if not self._rows.held([claimed]):
                return False
        _at_commit(session, lambda: self.complete([claimed]))
        return True

    def fail(self, claimed: ClaimedDelivery, failure: AttemptFailure) -> bool:
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

    def release(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Make deliveries pending again that were not begun; that is no attempt."""
        with self._lock:
            held = self._rows.held(claimed)
            for row in held:
                self._wait_again(row, counts=False)
            return len(held)

    def repair_order(self) -> int:
        """Free deliveries that wait behind nothing; there are none, as there are no races here."""
        return 0

    def notifier(self) -> _Notifier:
        """Return what waits for new deliveries."""
        with self._lock:
            notifier = _Notifier(self._forget)
            self._notifiers = [*self._notifiers, notifier]
            return notifier

    def _forget(self, notifier: _Notifier) -> None:
        with self._lock:
            self._notifiers = [each for each in self._notifiers if each is not notifier]

    # -- operators -------------------------------------------------------------------------------

    def loads(self) -> list[ReceiverStats]:
        """Return how much there is of each receiver that has anything, or is paused, by name."""
        counts: dict[str, dict[State, int]] = {}
        oldest: dict[str, float] = {}
        with self._lock:
            now = self._clock()
            for row in self._rows.chosen(DeliveryFilter()):
                of_receiver = counts.setdefault(row.receiver, {})
                of_receiver[row.state] = of_receiver.get(row.state, 0) + 1
                if row.state in WAITING and row.due_at <= now:
                    age = (now - row.due_at).total_seconds()
                    oldest[row.receiver] = max(age, oldest.get(row.receiver, 0.0))
            return [
                ReceiverStats(name, counts.get(name, {}), oldest.get(name), name in self._paused)
                for name in sorted({*counts, *self._paused})
            ]

    def find(
        self, choice: DeliveryFilter, *, limit: int, newest_first: bool = False
    ) -> list[Delivery]:
        """Return the chosen deliveries by number."""
        with self._lock:
            rows = self._rows.chosen(choice)
            return [
                row.delivery() for row in islice(reversed(rows) if newest_first else rows, limit)
            ]

    def count(self, choice: DeliveryFilter) -> int:
        """Return how many are chosen."""
        with self._lock:
            return len(self._rows.chosen(choice))

    def replay(self, choice: DeliveryFilter) -> Iterator[int]:
        """Make the chosen dead letters and discarded ones pending, with all attempts again."""
        with self._lock:
            rows = self._rows.chosen(choice, among=(State.DEAD, State.DISCARDED))
            for row in rows:
                row.attempts = row.lost_workers = 0
                row.due_at = self._clock()
                self._rows.set(row, State.PENDING)
            return _batches(len(rows))

    def discard(self, choice: DeliveryFilter) -> Iterator[int]:
        """Have the chosen that are pending, behind or dead never run."""
        with self._lock:
            rows = self._rows.chosen(choice, among=(*WAITING, State.BLOCKED, State.DEAD))
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
            for row in self._rows.chosen(DeliveryFilter(), among=(*WAITING, State.BLOCKED)):
                row.due_at -= timedelta(seconds=seconds)
                self._rows.set(row, row.state)

    def _wait_again(self, row: _Row, *, counts: bool) -> None:
        row.attempts -= not counts
        self._rows.set(row, row.waits_as)

    def _prunable(self, older_than: float) -> list[_Row]:
        before = self._clock() - timedelta(seconds=older_than)
        rows = self._rows.chosen(DeliveryFilter(), among=OVER)
        return [row for row in rows if row.finished_at is not None and row.finished_at <= before]

    def _wake(self) -> None:
        for notifier in self._notifiers:
            notifier.wake()


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


@dataclass(slots=True)
class _Row:
    """A :class:`Delivery <aldis.durable.types.Delivery>` that changes."""

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
    def waits_as(self) -> State:
        """How it waits for a worker: a suspect runs with nothing beside it."""
        return State.QUARANTINED if self.lost_workers >= QUARANTINE_AFTER else State.PENDING

    def delivery(self) -> Delivery:
        """Return it as it is now, for those who look."""
        return Delivery(*_facts(self))

    def claimed(self, worker: str) -> ClaimedDelivery:
        """Return it as ``worker`` gets it."""
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

    def fits(self, choice: DeliveryFilter) -> bool:
        """Tell whether it is one of those that are meant."""
        return (
            (choice.ids is None or self.id in choice.ids)
            and (choice.states is None or self.state in choice.states)
            and choice.receiver in {None, self.receiver}
            and choice.signal in {None, self.signal}
            and choice.emission_id in {None, self.emission_id}
            and (choice.error is None or choice.error.lower() in self.error.lower())
            and (choice.since is None or self.created_at >= choice.since)
            and (choice.until is None or self.created_at < choice.until)
        )

    @property
    def error(self) -> str:
        """All that is known of the last failure."""
        return f"{self.reason or ''}\n{self.traceback or ''}"


_facts = attrgetter(*Delivery.__match_args__)


@dataclass(slots=True)
class _Chain:
    """What has one receiver and one key."""

    ids: list[int] = field(default_factory=list)  # a heap; what is over goes when it comes up
    running: int = 0


class _Rows:
    """All rows. Not safe for threads: the store has the lock.

    After each change, the first unfinished row with a key is behind nothing but a running one.

    Args:
        clock: Returns the time, with its zone.
        waits: Called when there is something for a worker.
    """

    def __init__(self, clock: Callable[[], datetime], waits: Callable[[], None]) -> None:
        self._clock = clock
        self._waits = waits
        self._last_id = 0
        self._all: dict[int, _Row] = {}  # by number, and so in this order
        self.running: dict[int, _Row] = {}
        # Heaps of times and numbers; an entry that is no longer true goes when it comes up.
        self._waiting: defaultdict[tuple[str, State], list[tuple[datetime, int]]]
        self._waiting = defaultdict(list)
        self._chains: defaultdict[tuple[str, str], _Chain] = defaultdict(_Chain)

    def add(self, new: NewDelivery) -> None:
        """Add a row."""
        now = self._clock()
        self._last_id += 1
        self._all[self._last_id] = row = _Row(
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
        self._enter(row)

    def delete(self, row: _Row) -> None:
        """Delete a row that is over."""
        del self._all[row.id]

    def chosen(self, choice: DeliveryFilter, among: Sequence[State] = tuple(State)) -> list[_Row]:
        """Return the rows that are meant and in one of the states, by number."""
        return [row for row in self._all.values() if row.state in among and row.fits(choice)]

    def held(self, claimed: Sequence[ClaimedDelivery]) -> list[_Row]:
        """Return the rows that their worker still has, in the same attempt."""
        rows = [(self.running.get(each.id), each) for each in claimed]
        return [
            row
            for row, each in rows
            if row and (row.worker, row.attempts) == (each.worker, each.attempt)
        ]

    def set(self, row: _Row, state: State) -> None:
        """Change the state of a row, and of whatever waited for that."""
        before, row.state = row.state, state
        row.finished_at = self._clock() if state in {*OVER, State.DEAD} else None
        if state is State.RUNNING:
            self.running[row.id] = row
        elif before is State.RUNNING:
            del self.running[row.id]
            row.worker = row.worker if state is State.DONE else None
        if row.order_key is not None:
            chain = self._chains[row.receiver, row.order_key]
            chain.running += (state is State.RUNNING) - (before is State.RUNNING)
        self._enter(row)

    def _enter(self, row: _Row) -> None:
        """Put a row where it is found: by its time if it waits, and by its key if it has one."""
        if row.state in WAITING:
            heappush(self._waiting[row.receiver, row.state], (row.due_at, row.id))
            self._waits()
        if row.order_key is not None:
            if row.state not in OVER:
                heappush(self._chains[row.receiver, row.order_key].ids, row.id)
            self._promote(row.receiver, row.order_key)

    def first(self, receiver: str, state: State) -> _Row | None:
        """Return what is due first of what waits."""
        heap = self._waiting[receiver, state]
        while heap:
            due_at, number = heap[0]
            row = self._all.get(number)
            if row and (row.state, row.due_at) == (state, due_at):
                return row
            heappop(heap)
        return None

    def is_blocked(self, row: _Row) -> bool:
        """Tell whether another one with its key has to come first, or runs."""
        if row.order_key is None:
            return False
        head = self._head(row.receiver, row.order_key)
        return head is not row or self._chains[row.receiver, row.order_key].running > 0

    def _head(self, receiver: str, key: str) -> _Row | None:
        """Return the first unfinished row with a key."""
        ids = self._chains[receiver, key].ids
        while ids:
            row = self._all.get(ids[0])
            if row and row.state not in OVER:
                return row
            heappop(ids)
        return None

    def _promote(self, receiver: str, key: str) -> None:
        head = self._head(receiver, key)
        if head is None:
            del self._chains[receiver, key]
        elif head.state is State.BLOCKED and not self._chains[receiver, key].running:
            self.set(head, head.waits_as)
