"""The books of a worker: what is out, what came back, and what is still to be written down."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from aldis.durable.store import Store
from aldis.durable.types import AttemptFailure, ClaimedDelivery
from aldis.durable.worker.running import Ran, Work
from aldis.errors import OutboxError

__all__ = ["AHEAD", "KEPT", "MOST", "Books", "Counts"]

_log = logging.getLogger("aldis")

#: Seconds of work that a worker claims ahead, so that the next one does not wait for the database.
#: What takes as long by itself has a thread of its own, and is not claimed ahead.
AHEAD: Final = 0.2

#: How many deliveries one claim brings at most.
MOST: Final = 500

#: Seconds that a completion waits at most for others to be written with.
KEPT: Final = 0.1


@dataclass(slots=True)
class Counts:
    """What a worker has done: see the properties of :class:`aldis.durable.Worker`."""

    done: int = 0
    failed: int = 0
    given_back: int = 0
    left_running: int = 0


class Books:
    """What one run of a worker has, and what became of it.

    Everything but :attr:`ran` belongs to the worker's own thread.

    Attributes:
        ran: What has come back, and nobody has looked at.
        out: What has been handed out, by number.
        finished: What is done, and not written down.
        alone: Whether something runs that must run with nothing beside it.
        load: Seconds that what is out will probably take, without what takes long.
    """

    def __init__(self, store: Store, counts: Counts, concurrency: int) -> None:
        self._store = store
        self._counts = counts
        self._concurrency = concurrency
        self.ran: deque[Ran | None] = deque()
        self.out: dict[int, Work] = {}
        self.finished: list[ClaimedDelivery] = []
        self.exclusive = False
        self.load = 0.0
        self._long = 0  # how much is out of which each holds a thread for long, as far as is known
        self._by_lease: Counter[str] = Counter()
        self._finished_since = 0.0
        self._unbegun: list[ClaimedDelivery] = []
        self._unsettled: list[tuple[ClaimedDelivery, AttemptFailure]] = []
        self._average: dict[str, float] = {}

    @property
    def free(self) -> int:
        """How many threads nothing holds for long."""
        return self._concurrency - self._long

    def expected(self, name: str) -> float | None:
        """Return how many seconds a receiver will take; ``None`` if that is long, or unknown."""
        average = self._average.get(name, AHEAD)
        return average if average < AHEAD else None

    def is_in_use(self, lease: str) -> bool:
        """Tell whether something that was claimed under a lease is still to be written down."""
        return self._by_lease[lease] > 0 or any(each.worker == lease for each in self.finished)

    def lend(self, works: Sequence[Work], expected: float | None) -> None:
        """Note what is handed out, each for so many seconds; ``None`` is long, or unknown."""
        for work in works:
            self.out[work.claimed.id] = work
            self._by_lease[work.claimed.worker] += 1
        if expected is None:
            self._long += len(works)
        else:
            self.load += len(works) * expected

    def give_up(self, work: Work, failure: AttemptFailure) -> None:
        """Note that something that is out will not come back."""
        del self.out[work.claimed.id]
        self._forget(work)
        self._fail(work, failure)

    def settle(self, *, everything: bool) -> None:
        """Write down what became of deliveries: failures at once, completions in batches."""
        returned = False
        while self.ran:
            ran = self.ran.popleft()
            # An attempt that was interrupted reports late: another one may be out by then.
            if ran is not None and self.out.get(ran.work.claimed.id) is ran.work:
                del self.out[ran.work.claimed.id]
                self._note(ran)
                returned = True
        if self._unbegun:
            self._counts.given_back += self._store.release(self._unbegun)
            self._unbegun.clear()
        while self._unsettled:
            claimed, failure = self._unsettled[-1]
            self._store.fail(claimed, failure)
            self._unsettled.pop()
        if not self.finished:
            return
        # One whose successor waits for it is not kept waiting.
        if (
            everything
            or not self.out
            or len(self.finished) >= MOST / 2
            or monotonic() - self._finished_since > KEPT
            or not returned
            or any(each.order_key is not None for each in self.finished)
        ):
            finished, self.finished = self.finished, []
            try:
                self._store.complete(finished)
            except OutboxError:
                self.finished = finished + self.finished
                raise

    def _note(self, ran: Ran) -> None:
        claimed = ran.work.claimed
        self._forget(ran.work)
        if not ran.begun:
            self._unbegun.append(claimed)
            return
        before = self._average.get(claimed.receiver)
        self._average[claimed.receiver] = (
            ran.seconds if before is None else before + (ran.seconds - before) / 20
        )
        if ran.failure is not None:
            self._fail(ran.work, ran.failure)
        else:
            self._counts.done += 1
            if not ran.completed:
                if not self.finished:
                    self._finished_since = monotonic()
                self.finished.append(claimed)

    def _forget(self, work: Work) -> None:
        self.exclusive = False
        if work.expected is None:
            self._long -= 1
        else:
            self.load -= work.expected
        if not self.out:
            self.load = 0.0  # which sums of fractions miss
        lease = work.claimed.worker
        self._by_lease[lease] -= 1
        if self._by_lease[lease] <= 0:
            del self._by_lease[lease]

    def _fail(self, work: Work, failure: AttemptFailure) -> None:
        claimed = work.claimed
        self._unsettled.append((claimed, failure))
        if not failure.counts:
            return
        self._counts.failed += 1
        if failure.retry_in is None:
            _log.error(
                "delivery %d of %s (%s) is a dead letter after attempt %d: %s",
                claimed.id,
                claimed.signal,
                claimed.receiver,
                claimed.attempt,
                failure.reason,
            )
        else:
            _log.warning(
                "delivery %d of %s (%s) failed at attempt %d of %d, next in %.1f s: %s",
                claimed.id,
                claimed.signal,
                claimed.receiver,
                claimed.attempt,
                work.receiver.retry.attempts,
                failure.retry_in,
                failure.reason,
            )
