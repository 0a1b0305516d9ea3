"""The rows of the store in memory, and the ways in which they are found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from operator import attrgetter

from aldis.durable.facts import (
    OVER,
    SUSPECT_AFTER,
    WAITING,
    Choice,
    Claimed,
    Delivery,
    NewDelivery,
    State,
)

__all__ = ["Row", "Rows"]


@dataclass(slots=True)
class Row:
    """A :class:`Delivery <aldis.durable.facts.Delivery>` that changes."""

    id: int
    emission_id: str
    receiver: str
    signal: str
    payload: str
    order_key: str | None
    cause: str | None
    traceparent: str | None
    created_at: datetime
    due_at: datetime
    state: State = State.PENDING
    finished_at: datetime | None = None
    attempts: int = 0
    lost: int = 0
    worker: str | None = None
    reason: str | None = None
    traceback: str | None = None

    @property
    def waits_as(self) -> State:
        """How it waits for a worker: a suspect runs with nothing beside it."""
        return State.SUSPECT if self.lost >= SUSPECT_AFTER else State.PENDING

    def delivery(self) -> Delivery:
        """Return it as it is now, for those who look."""
        return Delivery(*_facts(self))

    def claimed(self, worker: str) -> Claimed:
        """Return it as ``worker`` gets it."""
        return Claimed(
            id=self.id,
            emission_id=self.emission_id,
            receiver=self.receiver,
            signal=self.signal,
            payload=self.payload,
            order_key=self.order_key,
            cause=self.cause,
            traceparent=self.traceparent,
            attempt=self.attempts,
            lost=self.lost,
            worker=worker,
        )

    def fits(self, choice: Choice) -> bool:
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


class Rows:
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
        self._all: dict[int, Row] = {}  # by number, and so in this order
        self.running: dict[int, Row] = {}
        # Heaps of times and numbers; an entry that is no longer true goes when it comes up.
        self._waiting: defaultdict[tuple[str, State], list[tuple[datetime, int]]]
        self._waiting = defaultdict(list)
        self._chains: defaultdict[tuple[str, str], _Chain] = defaultdict(_Chain)

    def add(self, new: NewDelivery) -> None:
        """Add a row."""
        now = self._clock()
        self._last_id += 1
        self._all[self._last_id] = row = Row(
            id=self._last_id,
            emission_id=new.emission_id,
            receiver=new.receiver,
            signal=new.signal,
            payload=new.payload,
            order_key=new.order_key,
            cause=new.cause,
            traceparent=new.traceparent,
            created_at=now,
            due_at=now + timedelta(seconds=new.delay),
        )
        self._enter(row)

    def delete(self, row: Row) -> None:
        """Delete a row that is over."""
        del self._all[row.id]

    def chosen(self, choice: Choice, among: Sequence[State] = tuple(State)) -> list[Row]:
        """Return the rows that are meant and in one of the states, by number."""
        return [row for row in self._all.values() if row.state in among and row.fits(choice)]

    def held(self, claimed: Sequence[Claimed]) -> list[Row]:
        """Return the rows that their worker still has, in the same attempt."""
        rows = [(self.running.get(each.id), each) for each in claimed]
        return [
            row
            for row, each in rows
            if row and (row.worker, row.attempts) == (each.worker, each.attempt)
        ]

    def set(self, row: Row, state: State) -> None:
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

    def _enter(self, row: Row) -> None:
        """Put a row where it is found: by its time if it waits, and by its key if it has one."""
        if row.state in WAITING:
            heappush(self._waiting[row.receiver, row.state], (row.due_at, row.id))
            self._waits()
        if row.order_key is not None:
            if row.state not in OVER:
                heappush(self._chains[row.receiver, row.order_key].ids, row.id)
            self._promote(row.receiver, row.order_key)

    def first(self, receiver: str, state: State) -> Row | None:
        """Return what is due first of what waits."""
        heap = self._waiting[receiver, state]
        while heap:
            due_at, number = heap[0]
            row = self._all.get(number)
            if row and (row.state, row.due_at) == (state, due_at):
                return row
            heappop(heap)
        return None

    def is_blocked(self, row: Row) -> bool:
        """Tell whether another one with its key has to come first, or runs."""
        if row.order_key is None:
            return False
        head = self._head(row.receiver, row.order_key)
        return head is not row or self._chains[row.receiver, row.order_key].running > 0

    def _head(self, receiver: str, key: str) -> Row | None:
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
        elif head.state is State.BEHIND and not self._chains[receiver, key].running:
            self.set(head, head.waits_as)
