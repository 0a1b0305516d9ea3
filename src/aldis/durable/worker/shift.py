"""One run of a worker, in its own thread: it claims, hands out, and looks after what is out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event
from time import monotonic
from typing import Any, Final

from sqlalchemy.pool import QueuePool

from aldis.core.receiver import describe
from aldis.durable.receiver import Durable, all_receivers, receivers_by_name
from aldis.durable.store import Notifier, Store
from aldis.durable.store._async_bridge import bridge, has_async_engine
from aldis.durable.types import UNFINISHED, ClaimedDelivery, DueReceiver
from aldis.durable.worker.books import AHEAD, KEPT, MOST, Books, Counts
from aldis.durable.worker.lanes import LoopLane, ThreadLanes
from aldis.durable.worker.lease import Leases
from aldis.durable.worker.running import Ran, Setting, Work, judge, too_long
from aldis.errors import OutboxError, TimeLimitError

__all__ = ["Shift"]

_log = logging.getLogger("aldis")

#: Seconds of work that a thread takes at a time: handing over costs more than a fast receiver.
CHUNK: Final = 0.005

#: Seconds between two looks at what the database does not tell: lost workers, gaps in an order.
LOOK: Final = 5.0

#: Seconds that a worker waits at most before it looks at its own state.
NAP: Final = 1.0

#: The longest pause, in seconds, while the database does not answer.
PATIENCE: Final = 5.0


class Shift:
    """One run of a worker."""

    def __init__(
        self,
        setting: Setting,
        receivers: dict[str, Durable[..., Any]],
        counts: Counts,
        *,
        concurrency: int,
        lease: float,
        name: str,
    ) -> None:
        self._receivers = receivers
        self._names = tuple(sorted(receivers))
        self._name = name
        self._counts = counts
        self._concurrency = concurrency
        self._news = Event()
        is_async_database = has_async_engine(setting.store)
        self._loop: LoopLane | None = None
        if is_async_database or any(each.is_async for each in receivers.values()):
            self._loop = LoopLane(concurrency, setting, self._report)
        self.store: Store = (
            bridge(setting.store, self._loop.call)
            if is_async_database and self._loop is not None
            else setting.store
        )
        self._books = Books(self.store, counts, concurrency)
        self._threads = ThreadLanes(concurrency, setting, self._report)
        self._leases = Leases(self.store, name, lease)
        self._looked = 0.0
        self._trouble = 0.0
        self._turns = 0
        self._notifier: Notifier | None = None

    # -- the beginning ---------------------------------------------------------------------------

    def check(self) -> None:
        """Make sure that there is something to do, and say what looks wrong."""
        self.store.check()
        self._leases.start()
        for receiver in all_receivers():
            if not receiver.signals:
                _log.warning(
                    "durable receiver %r (%s) is not connected to any signal: it is not served",
                    receiver.name,
                    describe(receiver),
                )
        for load in self.store.loads():
            count = sum(load.counts.get(state, 0) for state in UNFINISHED)
            if count and load.receiver not in receivers_by_name():
                _log.warning(
                    "%s for durable receiver %r, which this app does not have; connect it, give "
                    "its name to its successor (aliases=), or discard what waits",
                    "1 delivery waits" if count == 1 else f"{count} deliveries wait",
                    load.receiver,
                )
        room = _room(self.store)
        if room is not None and room < self._concurrency:
            _log.warning(
                "the engine's pool has %d connections, and %d receivers that use a session at a "
                "time want one each: a larger pool_size, or a lower concurrency",
                room,
                self._concurrency,
            )
        _log.info("worker %s serves %s", self._name, ", ".join(self._names) or "no receiver at all")

    # -- the turns -------------------------------------------------------------------------------

    def work(self, notifier: Notifier, stop: Event) -> None:
        """Deliver until ``stop`` is set."""
        self._notifier = notifier
        while not stop.is_set():
            try:
                wait = self._turn()
            except OutboxError as error:
                self._begin_trouble(error)
                stop.wait(self._trouble)
                continue
            if wait > 0 and not stop.is_set():
                self._wait(wait)

    def drain(self) -> int:
        """Deliver what is due; return how many attempts that took."""
        count = 0
        while True:
            self._books.settle(everything=True)
            if self._books.out:
                self._news.wait(NAP)
                self._news.clear()
                self._interrupt_overdue()
                continue
            if self._take() is not True:  # else it is the time until something is due
                return count
            count += len(self._books.out)

    def _turn(self) -> float:
        """Write down, claim, hand out; return how many seconds there is nothing to do for."""
        self._interrupt_overdue()
        self._books.settle(everything=not self._books.out)
        self._leases.end_unused(self._books.is_in_use)
        if monotonic() - self._looked > LOOK:
            self._looked = monotonic()
            self._look_around()
        if self._is_busy():
            return NAP
        wait = self._take()
        self._end_trouble()
        return 0.0 if wait is True else min(wait or NAP, NAP if self._books.out else LOOK)

    def _wait(self, seconds: float) -> None:
        deadline = self._threads.next_deadline()
        if deadline is not None:
            seconds = max(0.0, min(seconds, deadline - monotonic()))
        if self._books.finished:
            seconds = min(seconds, KEPT)
        if self._is_busy() or self._notifier is None:  # for what comes back, not for what is new
            self._news.wait(seconds)
        else:
            self._notifier.wait(seconds)
        self._news.clear()

    def _begin_trouble(self, error: OutboxError) -> None:
        if not self._trouble:
            _log.error("%s; the worker tries again until the database answers", error)
        self._trouble = min(PATIENCE, self._trouble * 2 or 0.1)
        self._leases.distrust()

    def _end_trouble(self) -> None:
        if self._trouble:
            _log.warning("the database answers again")
        self._trouble = 0.0

    def _look_around(self) -> None:
        """Do what nobody tells a worker to do."""
        lost = self.store.rescue()
        if lost:
            what = "1 delivery" if lost == 1 else f"{lost} deliveries"
            _log.warning("%s of lost workers will be delivered again", what)
        if any(each.key is not None for each in self._receivers.values()):
            self.store.repair_order()

    # -- claiming --------------------------------------------------------------------------------

    def _is_busy(self) -> bool:
        enough = self._books.load >= AHEAD / 2 * self._books.free
        return self._books.exclusive or (len(self._books.out) >= self._concurrency and enough)

    def _take(self) -> bool | float | None:
        """Claim what is due: true if there was something, else the seconds until there is."""
        due = self.store.due(self._names)
        now = [each for each in due if each.seconds <= 0]
        exclusive = [each for each in now if each.exclusive]
        if exclusive:
            # Once what is out has come back; until then nothing is begun beside it.
            return self._claim_alone(exclusive[0]) if not self._books.out else NAP / 10
        # Each has its share, and another is the first each time: a long queue starves nobody.
        self._turns += 1
        first = self._turns % len(now) if now else 0
        taken = False
        for each in now[first:] + now[:first]:
            taken = self._claim(each, len(now)) or taken
        if taken:
            return True
        return min((each.seconds for each in due if each.seconds > 0), default=None)

    def _claim(self, due: DueReceiver, shares: int) -> bool:
        if self._books.free <= 0:
            return False
        receiver = self._receivers[due.receiver]
        expected = self._books.expected(due.receiver)
        if expected is None:
            room = self._books.free // shares
        else:
            room = int((AHEAD * self._books.free - self._books.load) / shares / max(expected, 1e-6))
        claimed = self.store.claim(
            self._leases.obtain(),
            due.receiver,
            max(1, min(room, MOST)),  # one at least, however much of another is out
            ordered=receiver.key is not None,
        )
        self._hand_out(receiver, claimed, expected)
        return bool(claimed)

    def _claim_alone(self, due: DueReceiver) -> bool:
        receiver = self._receivers[due.receiver]
        claimed = self.store.claim(
            self._leases.obtain(),
            due.receiver,
            1,
            ordered=receiver.key is not None,
            exclusive=True,
        )
        self._books.exclusive = bool(claimed)
        self._hand_out(receiver, claimed, None)
        return bool(claimed)

    def _hand_out(
        self,
        receiver: Durable[..., Any],
        claimed: Sequence[ClaimedDelivery],
        expected: float | None,
    ) -> None:
        works = [Work(each, receiver, expected) for each in claimed]
        self._books.lend(works, expected)
        lane = self._loop if receiver.is_async and self._loop is not None else self._threads
        size = 1 if not expected else max(1, min(MOST, int(CHUNK / expected)))
        for start in range(0, len(works), size):
            lane.put(works[start : start + size])

    # -- what comes back -------------------------------------------------------------------------

    def _report(self, ran: Ran | None) -> None:
        """Take what became of a delivery, in the thread in which it ran."""
        self._books.ran.append(ran)
        # Fast ones are taken note of by the hundred; one that others wait for, at once.
        if (
            len(self._books.ran) >= min(len(self._books.out), MOST // 2)
            or ran is None
            or ran.seconds > CHUNK
            or ran.failure is not None
            or ran.work.claimed.order_key is not None
        ):
            self._news.set()
            if self._notifier is not None:
                self._notifier.wake()

    def _interrupt_overdue(self) -> None:
        self._threads.share()
        for work in self._threads.overdue():
            if self._threads.replace(work):
                self._leases.distrust()  # under which the thread may still try to complete it
                self._books.give_up(work, judge(work, TimeLimitError(too_long(work))))

    # -- the end ---------------------------------------------------------------------------------

    def wind_down(self, grace: Callable[[], float]) -> None:
        """Let what runs finish for so many seconds, which may become fewer; give the rest back."""
        self._threads.stop()
        if self._loop is not None:
            self._loop.stop()
        begun = monotonic()
        while True:
            with suppress(OutboxError):  # what runs has its time even if the database is away
                self._books.settle(everything=True)
            left = begun + grace() - monotonic()
            if not self._books.out or left <= 0:
                break
            self._interrupt_overdue()
            self._news.wait(min(left, 0.1))
            self._news.clear()
        out = self._counts.left_running = len(self._books.out)
        if out:
            _log.warning(
                "%s not returned within %.1f s; what they had is given back",
                "1 receiver has" if out == 1 else f"{out} receivers have",
                monotonic() - begun,
            )

    def close(self) -> None:
        """End the threads and the leases."""
        self._threads.stop()
        with suppress(OutboxError):
            self._books.settle(everything=True)
        try:
            self._counts.given_back += self._leases.end_all()
        except OutboxError as error:
            _log.warning(
                "leases are left to run out, since the database does not answer: %s", error
            )
        if self._loop is not None:
            self._loop.close()


def _room(store: Store) -> int | None:
    """Return how many connections the store's engine may have; ``None`` if there is no limit."""
    pool = getattr(getattr(store, "engine", None), "pool", None)
    if not isinstance(pool, QueuePool) or pool._max_overflow < 0:  # noqa: SLF001 - nobody says it
        return None
    return pool.size() + pool._max_overflow  # noqa: SLF001 - the same
