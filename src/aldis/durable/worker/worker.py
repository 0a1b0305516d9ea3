"""The public Worker class, and the loop that claims deliveries and saves their results."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.pool import QueuePool

from aldis._compat import max_overflow
from aldis.core.receiver import describe
from aldis.durable._event import SafeEvent
from aldis.durable._log import get_logger
from aldis.durable.outbox import Outbox, check_outbox
from aldis.durable.receiver import Durable, all_receivers, receivers_by_name, served_receivers
from aldis.durable.store import Notifier, Store
from aldis.durable.store._async_bridge import bridge, has_async_engine
from aldis.durable.types import UNFINISHED, ClaimedDelivery, DueReceiver
from aldis.durable.worker.attempt import (
    AttemptResult,
    RunContext,
    failure_for,
    in_context,
    time_limit_error,
)
from aldis.durable.worker.breakers import Breakers
from aldis.durable.worker.executor import AsyncExecutor, Run, ThreadExecutor
from aldis.durable.worker.health import HealthReport
from aldis.durable.worker.heartbeat import Heartbeat
from aldis.durable.worker.inflight import Counts, InFlight
from aldis.durable.worker.limits import (
    ALIVE_FOR,
    BATCH,
    CHECK_EVERY,
    CLAIM_AHEAD,
    CLAIM_TRIES,
    COMPLETE_WITHIN,
    MAX_RECONNECT_DELAY,
    REGISTER_EVERY,
    RESCUE_EVERY,
    SUBMIT_SECONDS,
)
from aldis.durable.worker.pruner import Pruner
from aldis.durable.worker.reporter import CLOSE_SECONDS, Reporter
from aldis.durable.worker.runs import Job
from aldis.durable.worker.runs import Run as KeyRun
from aldis.durable.worker.watchdog import Watchdog
from aldis.errors import OutboxError, ReceiverError

__all__ = ["Worker", "WorkerLoop"]

T = TypeVar("T")

_log = get_logger()


class Worker:
    """Claims durable deliveries and runs their receivers until :meth:`stop` is called.

    You can kill the process at any instant: its deliveries are delivered again. If the engine is
    async, run the worker in a separate process. The worker has an event loop, and SQLAlchemy does
    not let two event loops share an engine.

    Args:
        outbox: The outbox whose deliveries run.
        app: The sender for a delivery that the app sent.
        context: Makes the context in which a receiver is called. For Flask, it is
            ``app.app_context``.
        concurrency: How many sync receivers run at a time, in threads, and how many async
            receivers, in an event loop.
        lease: For how many seconds the worker keeps its deliveries if it does not renew its lease.
            If the worker is frozen for longer, other workers take the deliveries over.
        grace: For how many seconds running receivers may continue after :meth:`stop`.
        receivers: The names of the receivers to serve. The default is all.
        name: The worker's name, for people. The default is the host name and the process id.
        health_file: A file that the worker touches every second, as long as it renews its lease
            and its claims succeed. Its age shows a supervisor whether the worker is alive. The
            worker deletes it at its end.
        sd_notify: Whether to notify systemd, too, and also at the worker's start and end, if
            systemd asks for it (``Type=notify``, ``WatchdogSec=``).
        prune_after: The worker deletes deliveries that were done or discarded more than this many
            seconds ago. It never deletes dead letters. By default, it deletes nothing.

    Raises:
        UnknownNameError: No receiver has one of the names.
        OutboxError: ``outbox`` is not an outbox.
        TypeError: ``receivers`` is text instead of a list of names.
        ValueError: A number is out of range.
    """

    def __init__(  # noqa: PLR0913 - each option has its own default and meaning
        self,
        outbox: Outbox,
        *,
        app: Any = None,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        concurrency: int = 4,
        lease: float = 30.0,
        grace: float = 30.0,
        receivers: Sequence[str] | None = None,
        name: str | None = None,
        health_file: str | os.PathLike[str] | None = None,
        sd_notify: bool = False,
        prune_after: float | None = None,
    ) -> None:
        check_outbox(outbox, "Worker(outbox)")
        if concurrency < 1:
            message = f"concurrency must be at least 1, not {concurrency}"
            raise ValueError(message)
        if not lease > 0:
            message = f"lease must be a number of seconds above 0, not {lease!r}"
            raise ValueError(message)
        if prune_after is not None and not prune_after > 0:
            message = f"prune_after must be a number of seconds above 0, not {prune_after!r}"
            raise ValueError(message)
        self._prune_after = prune_after
        self._outbox = outbox
        self._app = app
        self._context = context
        self._concurrency = concurrency
        self._lease = lease
        self._grace = grace
        self._only = receivers
        self._health_file = None if health_file is None else Path(health_file)
        self._sd_notify = sd_notify
        self.name: str = name or f"{socket.gethostname()}:{os.getpid()}"
        self._stop = SafeEvent()
        self._loop: WorkerLoop | None = None
        self._counts = Counts()

    @property
    def done(self) -> int:
        """The number of completed deliveries."""
        return self._counts.done

    @property
    def failed(self) -> int:
        """The number of failed attempts."""
        return self._counts.failed

    @property
    def given_back(self) -> int:
        """The number of claimed deliveries that became pending again when the worker stopped."""
        return self._counts.given_back

    @property
    def left_running(self) -> int:
        """The number of receivers that were still running when the worker stopped.

        Their deliveries are pending again, and :attr:`given_back` includes them.
        """
        return self._counts.left_running

    def run(self) -> None:
        """Run deliveries until another thread or a signal handler calls :meth:`stop`.

        Raises:
            SchemaError: The outbox's tables are missing, too old or too new.
            OutboxError: The database is unavailable or rejected the operation.
        ReceiverError: A receiver has a time limit, and gevent has patched the threads.
        """
        with self._open_loop() as loop:
            self._loop = loop
            try:
                loop.run(self._stop, lambda: self._grace)
            finally:
                self._loop = None

    def stop(self) -> None:
        """Make :meth:`run` end: running receivers may finish, other deliveries are released.

        If you call it twice, running receivers get no more time. A signal handler may call it.
        """
        if self._stop.is_set():
            self._grace = 0.0
        self._stop.set()
        loop = self._loop
        if loop is not None:
            loop.wake()

    def drain(self) -> int:
        """Run all deliveries that are due, and those that become due meanwhile.

        Returns:
            The number of attempts.
        """
        attempts = 0
        with self._open_loop() as loop:
            while claimed := loop.run_due().claimed:
                attempts += claimed
        return attempts

    @contextmanager
    def _open_loop(self) -> Iterator[WorkerLoop]:
        store = in_context(self._context, lambda: self._outbox.store)
        loop = WorkerLoop(
            RunContext(self._outbox, store, self._app, self._context),
            served_receivers(self._only),
            self._counts,
            concurrency=self._concurrency,
            lease=self._lease,
            name=self.name,
            health=HealthReport(self._health_file, sd_notify=self._sd_notify),
            prune_after=self._prune_after,
        )
        try:
            yield loop
        finally:
            loop.close()


class Claims(NamedTuple):
    """What one search for deliveries that are due has found.

    Attributes:
        claimed: How many deliveries were claimed.
        ready: How many receivers had deliveries that are due.
        due_in: The seconds until a receiver's next delivery is due, or ``None``.
    """

    claimed: int
    ready: int
    due_in: float | None


class WorkerLoop:
    """The loop of a worker: it claims deliveries, hands them to executors, and saves results.

    Args:
        context: What all attempts have in common.
        receivers: The receivers to serve, by name and alias.
        counts: Updated with each result.
        concurrency: How many receivers run at a time.
        lease: The duration of a lease, in seconds.
        name: The worker's name, for people.
        one_by_one: Claim one delivery at a time, and the one that is due first. Tests want this.
        on_result: Called with each result before it is saved.
        event_loop: The running event loop for async receivers. By default, they get one in a
            thread.
        health: Reports that the worker is alive.
        prune_after: Delete deliveries that ended more than this many seconds ago.
        patience: For how many seconds :meth:`close` waits for the receivers of failure signals.
    """

    def __init__(  # noqa: PLR0913 - the worker and the tests' drain() need all of it
        self,
        context: RunContext,
        receivers: dict[str, Durable[..., Any]],
        counts: Counts,
        *,
        concurrency: int,
        lease: float,
        name: str,
        one_by_one: bool = False,
        on_result: Callable[[AttemptResult], None] | None = None,
        event_loop: asyncio.AbstractEventLoop | None = None,
        health: HealthReport | None = None,
        patience: float = CLOSE_SECONDS,
        prune_after: float | None = None,
    ) -> None:
        _refuse_green_threads(receivers)
        self._context = context
        self._receivers = receivers
        self._names = tuple(sorted(receivers))
        self._name = name
        self._counts = counts
        self._concurrency = concurrency
        self._one_by_one = one_by_one
        self._breakers: Breakers | None = None
        self._reported = SafeEvent()
        self._async: AsyncExecutor | None = None
        self.store: Store = context.store
        is_async_engine = has_async_engine(context.store)
        if is_async_engine or any(each.is_async for each in receivers.values()):
            self._async = AsyncExecutor(concurrency, context, self._report, self._holds, event_loop)
            if is_async_engine:
                self.store = bridge(context.store, self._async.call)
        self._threads = ThreadExecutor(concurrency, context, self._report, self._holds)
        run_coroutine = None if self._async is None else self._async.run_coroutine
        self._reporter = Reporter(context, self.store, run_coroutine, patience=patience)
        # Tests run one delivery at a time, and expect every attempt.
        self._breakers = None if one_by_one else Breakers(self.store, receivers, self._reporter)
        self._in_flight = InFlight(
            self.store,
            counts,
            concurrency,
            claim_ahead=0.0 if one_by_one else CLAIM_AHEAD,
            on_result=on_result,
            on_failure=self._reporter.attempt_failed,
        )
        self._heartbeat = Heartbeat(self.store, name, lease, unbridged=context.store)
        self._watchdog = Watchdog(
            context.store, self._heartbeat, lease, self._running, self._report_health
        )
        self._health = health
        self._succeeded_at = 0.0  # when the last round succeeded
        self._notifier: Notifier | None = None
        self._rescued_at = 0.0
        self._registered_at = float("-inf")
        self._pruner = None if prune_after is None else Pruner(self.store, prune_after)
        self._reconnect_delay = 0.0
        self._rounds = 0
        self._cancelled = False

    # -- running ---------------------------------------------------------------------------------

    def run(self, stop: SafeEvent, grace: Callable[[], float]) -> None:
        """Run deliveries until ``stop`` is set and :meth:`wake` is called.

        Args:
            stop: Ends the loop.
            grace: Returns for how many seconds running receivers may then continue. The number may
                become smaller.

        Raises:
            SchemaError: The outbox's tables are missing, too old or too new.
            OutboxError: The database is unavailable at the start.
        """
        self.store.check()
        self._heartbeat.start()
        self._log_start()
        try:
            notifier = self._notifier = self.store.notifier()
            notifier.wait(0.0)  # It opens its connection now, and not at the first pause.
            watched = getattr(self._context.store, "watched", nullcontext)
            with watched(), self._watchdog.watching(stop, grace), self.store.kept_open():
                while not stop.is_set():
                    try:
                        seconds = self._round()
                    except OutboxError as error:
                        self._note_unavailable(error)
                        stop.wait(self._reconnect_delay)
                        continue
                    self._succeeded_at = monotonic()
                    if seconds > 0 and not stop.is_set():
                        self._wait(seconds, notifier)
                self._shut_down(grace)
        finally:
            if self._health is not None:
                self._health.close()
            opened, self._notifier = self._notifier, None
            if opened is not None:
                opened.close()

    def _report_health(self) -> None:
        """Report that the worker is alive, if its last round succeeded a short time ago."""
        if self._health is not None and monotonic() - self._succeeded_at < ALIVE_FOR:
            self._health.report()

    def _running(self) -> list[Run]:
        """Return the receivers that are running."""
        in_loop = [] if self._async is None else self._async.running()
        return self._threads.running() + in_loop

    def wake(self) -> None:
        """Make :meth:`run` look at once whether it has to stop. Any thread may call this."""
        self._reported.set()
        notifier = self._notifier
        if notifier is not None:
            notifier.wake()

    def run_due(self) -> Claims:
        """Claim deliveries that are due, and wait until they have run and are saved."""
        for _ in range(CLAIM_TRIES):
            claims = self._claim_due()
            if claims.claimed or not claims.ready:
                break  # otherwise, deliveries turned out to be blocked by their ordering key
        while self._in_flight.jobs and not self._cancelled:
            self._reported.wait(self._until_deadline(CHECK_EVERY))
            self._reported.clear()
            self._interrupt_overdue()
            self._in_flight.flush(everything=True)
            self._save_breakers()
        if self._heartbeat.abandoned:
            self._heartbeat.end_abandoned(self._in_flight.is_in_use)
        return claims

    def cancel(self) -> None:
        """Make :meth:`run_due` return although receivers are running. Any thread may call this."""
        self._cancelled = True
        self._reported.set()

    def call(self, function: Callable[[], T]) -> T:
        """Call a function that uses the store's engine, in the event loop if it is async."""
        if self._async is None or not has_async_engine(self._context.store):
            return function()
        return self._async.call(function)

    def _round(self) -> float:
        """Save results, claim and submit. Return how many seconds there is nothing to do."""
        if self._in_flight.jobs:
            self._interrupt_overdue()
        self._in_flight.flush(everything=not self._in_flight.jobs)
        self._save_breakers()
        if self._heartbeat.abandoned:
            self._heartbeat.end_abandoned(self._in_flight.is_in_use)
        if monotonic() - self._rescued_at > RESCUE_EVERY:
            self._rescued_at = monotonic()
            self._rescue()
        is_pruning = self._pruner is not None and self._pruner.step()
        if self._is_busy():
            return CHECK_EVERY
        claims = self._claim_due()
        self._note_available()
        if claims.claimed or is_pruning:
            return 0.0
        longest = CHECK_EVERY if self._in_flight.jobs else RESCUE_EVERY
        if self._breakers is not None:
            longest = min(longest, max(0.01, self._breakers.due_in()))
        return min(claims.due_in or CHECK_EVERY, longest)

    def _wait(self, seconds: float, notifier: Notifier) -> None:
        seconds = self._until_deadline(seconds)
        if self._in_flight.completed:
            seconds = min(seconds, COMPLETE_WITHIN)
        if self._is_busy():  # only a result can change anything
            self._reported.wait(seconds)
        else:
            notifier.wait(seconds)
        self._reported.clear()

    def _until_deadline(self, seconds: float) -> float:
        """Return ``seconds``, or less if a receiver exceeds its time limit earlier."""
        deadline = self._threads.next_deadline()
        return seconds if deadline is None else max(0.0, min(seconds, deadline - monotonic()))

    def _rescue(self) -> None:
        """Take over the deliveries of lost workers, and repair the order of keys."""
        rescued = self.store.rescue()
        self._reporter.workers_lost(rescued)
        if monotonic() - self._registered_at > REGISTER_EVERY:
            self.store.register_receivers(self._names)
            self._registered_at = monotonic()
        if any(each.key is not None for each in self._receivers.values()):
            self.store.repair_order()

    def _note_unavailable(self, error: OutboxError) -> None:
        if not self._reconnect_delay:
            _log.error("%s; the worker tries again until the database answers", error)
        self._reconnect_delay = min(MAX_RECONNECT_DELAY, self._reconnect_delay * 2 or 0.1)
        self._heartbeat.abandon()

    def _note_available(self) -> None:
        if self._reconnect_delay:
            _log.warning("the database answers again")
        self._reconnect_delay = 0.0

    def _log_start(self) -> None:
        """Log which receivers are served, and warn about likely mistakes."""
        for receiver in all_receivers():
            if not receiver.signals:
                _log.warning(
                    "durable receiver %r (%s) is not connected to any signal: it is not served",
                    receiver.name,
                    describe(receiver),
                )
        known = receivers_by_name()
        for stats in self.store.stats():
            count = sum(stats.counts.get(state, 0) for state in UNFINISHED)
            if count and stats.receiver not in known:
                _log.warning(
                    "%s for durable receiver %r, which this app does not have: connect it, add its "
                    "name to its successor (aliases=), or discard its deliveries",
                    "1 delivery waits" if count == 1 else f"{count} deliveries wait",
                    stats.receiver,
                )
        size = _pool_size(self._context.store)
        if size is not None and size < self._concurrency:
            _log.warning(
                "the engine's pool has %d connections, but %d receivers run at a time and each may "
                "need one for its session: use a larger pool_size, or a lower concurrency",
                size,
                self._concurrency,
            )
        names = ", ".join(self._names) or "no receiver at all"
        _log.info("worker %s serves %s", self._name, names)

    # -- claiming --------------------------------------------------------------------------------

    def _is_busy(self) -> bool:
        """Tell whether the executors have enough jobs."""
        in_flight = self._in_flight
        if in_flight.exclusive:
            return True
        has_work = in_flight.load >= CLAIM_AHEAD / 2 * in_flight.free_threads
        return len(in_flight.jobs) >= self._concurrency and has_work

    def _claim_due(self) -> Claims:
        """Claim deliveries that are due, and submit them."""
        due = self.store.due(self._names)
        if self._breakers is not None:
            self._breakers.note_resumed(each.receiver for each in due)
        ready = [each for each in due if each.seconds <= 0]
        due_in = min((each.seconds for each in due if each.seconds > 0), default=None)
        exclusive = next((each for each in ready if each.exclusive), None)
        if exclusive is not None:
            # It starts when no other delivery is running. Until then, nothing starts.
            if self._in_flight.jobs:
                return Claims(0, len(ready), CHECK_EVERY / 10)
            return Claims(self._claim_exclusive(exclusive), len(ready), due_in)
        if self._one_by_one:
            ready.sort(key=lambda each: each.seconds)
        elif ready:
            # Each receiver gets a share, and each round begins with another one, so that a long
            # queue of one receiver does not block the others.
            self._rounds += 1
            start = self._rounds % len(ready)
            ready = ready[start:] + ready[:start]
        claimed = sum(self._claim(each, len(ready)) for each in ready)
        return Claims(claimed + self._try_paused(), len(ready), due_in)

    def _try_paused(self) -> int:
        """Claim one delivery of each paused receiver that it is time to try again."""
        if self._breakers is None or self._in_flight.free_threads <= 0:
            return 0
        claimed = 0
        for each in self._breakers.due():
            lease = self._heartbeat.lease()
            if not self._breakers.begin_trial(lease, each):
                continue
            receiver = self._receivers[each.receiver]
            ordered = receiver.key is not None
            # A claim of a receiver with an ordering key may find only blocked deliveries.
            for number in range(CLAIM_TRIES if ordered else 2):
                # Deliveries with which workers were lost run alone.
                exclusive = number % 2 == 1 and not self._in_flight.jobs
                found = self.store.claim(
                    lease,
                    each.receiver,
                    1,
                    ordered=ordered,
                    exclusive=exclusive,
                    at_most=receiver.run_limit,
                )
                if found:
                    self._in_flight.exclusive = exclusive
                    self._submit(receiver, found, None, is_trial=True)
                    claimed += 1
                    break
        return claimed

    def _holds(self, job: Job) -> bool:
        # If the worker was frozen for longer than its lease, another one may run the key by now.
        if job.run is not None and not self._heartbeat.holds(job.claimed.worker):
            return True
        return self._breakers is not None and self._breakers.holds(job)

    def _save_breakers(self) -> None:
        if self._breakers is not None:
            self._breakers.save()

    def _claim(self, due: DueReceiver, shares: int) -> int:
        in_flight = self._in_flight
        if in_flight.free_threads <= 0:
            return 0
        expected = in_flight.expected_seconds(due.receiver)
        if expected is None:
            room = in_flight.free_threads // shares
        else:
            seconds = CLAIM_AHEAD * in_flight.free_threads - in_flight.load
            room = int(seconds / shares / max(expected, 1e-6))
        receiver = self._receivers[due.receiver]
        claimed = self.store.claim(
            self._heartbeat.lease(),
            due.receiver,
            max(1, min(room, BATCH)),  # at least one, whatever other receivers have in flight
            ordered=receiver.key is not None,
            at_most=receiver.run_limit,
            # A key gets as much work as one thread: the other threads are for other keys. All
            # deliveries of a run count as running, so that a limit allows none.
            run=1
            if expected is None or receiver.run_limit is not None
            else max(1, int(CLAIM_AHEAD / max(expected, 1e-6))),
        )
        self._submit(receiver, claimed, expected)
        return len(claimed)

    def _claim_exclusive(self, due: DueReceiver) -> int:
        receiver = self._receivers[due.receiver]
        claimed = self.store.claim(
            self._heartbeat.lease(),
            due.receiver,
            1,
            ordered=receiver.key is not None,
            at_most=receiver.run_limit,
            exclusive=True,
        )
        self._in_flight.exclusive = bool(claimed)
        self._submit(receiver, claimed, None)
        return len(claimed)

    def _submit(
        self,
        receiver: Durable[..., Any],
        claimed: Sequence[ClaimedDelivery],
        expected: float | None,
        *,
        is_trial: bool = False,
    ) -> None:
        runs = self._in_flight.runs
        jobs = [
            Job(
                each,
                receiver,
                expected,
                is_trial,
                None
                if receiver.key is None or each.order_key is None
                else runs.of(each.receiver, each.order_key),
            )
            for each in claimed
        ]
        self._in_flight.track(jobs, expected)
        executor: AsyncExecutor | ThreadExecutor = self._threads
        if receiver.is_async and self._async is not None:
            executor = self._async
        size = 1 if not expected else max(1, min(BATCH, int(SUBMIT_SECONDS / expected)))
        ready: list[Job] = []
        count = 0
        for job, follow in self._startable(jobs):
            ready.append(job)
            count += 1 + follow
            if count >= size:
                executor.submit(ready)
                ready, count = [], 0
        executor.submit(ready)

    def _startable(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
        """Add jobs to their runs; yield those that can start now, and how many follow each."""
        by_run: dict[KeyRun, list[Job]] = {}
        for job in jobs:
            if job.run is None:
                yield job, 0
            else:
                by_run.setdefault(job.run, []).append(job)
        for run, following in by_run.items():
            first = run.add(following)
            if first is not None:
                yield first, len(following) - 1

    # -- results ---------------------------------------------------------------------------------

    def _report(self, result: AttemptResult | None) -> None:
        """Receive a result, in the executor's thread."""
        if self._breakers is not None and result is not None:
            self._breakers.note(result)
        results = self._in_flight.results
        results.append(result)
        # Results of fast receivers are processed in batches. A result that something waits for is
        # processed at once.
        if (
            len(results) >= min(len(self._in_flight.jobs), BATCH // 2)
            or result is None
            or result.seconds > SUBMIT_SECONDS
            or result.failure is not None
            or (result.job.run is not None and result.job.run.is_idle)
        ):
            self.wake()

    def _interrupt_overdue(self) -> None:
        """Interrupt receivers that exceed their time limit."""
        self._threads.rebalance()
        for job in self._threads.overdue():
            if self._threads.interrupt(job):
                # The thread may still try to complete the delivery under the current lease.
                self._heartbeat.abandon()
                error = time_limit_error(job)
                result = AttemptResult(
                    job,
                    failure_for(job, error, self._context),
                    seconds=job.receiver.timeout or 0.0,
                    error=error,
                )
                if self._breakers is not None:
                    self._breakers.note(result)
                self._in_flight.process(result)

    # -- the end ---------------------------------------------------------------------------------

    def _shut_down(self, grace: Callable[[], float]) -> None:
        """Start no more receivers, and wait for the running ones."""
        self._stop_executors()
        started = monotonic()
        while True:
            with suppress(OutboxError):  # receivers get their time even if the database is away
                self._in_flight.flush(everything=True)
            left = started + grace() - monotonic()
            if not self._in_flight.jobs or left <= 0:
                break
            self._interrupt_overdue()
            self._reported.wait(min(left, 0.1))
            self._reported.clear()
        running = self._counts.left_running = len(self._in_flight.jobs)
        if running:
            _log.warning(
                "%s not returned within %.1f s; the worker releases what is running",
                "1 receiver has" if running == 1 else f"{running} receivers have",
                monotonic() - started,
            )

    def close(self) -> None:
        """End the executors and the leases. Unfinished deliveries become pending again."""
        self._stop_executors()
        with suppress(OutboxError):
            self._in_flight.flush(everything=True)
        try:
            self._counts.given_back += self._heartbeat.stop()
        except OutboxError as error:
            _log.warning(
                "the database does not answer, so other workers wait until the leases run out: %s",
                error,
            )
        self._reporter.close()  # async receivers of its signals need the event loop
        if self._async is not None:
            self._async.close()

    def _stop_executors(self) -> None:
        self._threads.stop()
        if self._async is not None:
            self._async.stop()


def _refuse_green_threads(receivers: dict[str, Durable[..., Any]]) -> None:
    """Check that receivers with a time limit can be interrupted.

    Raises:
        ReceiverError: gevent or eventlet has replaced the threads. They cannot interrupt one.
    """
    gevent, eventlet = (sys.modules.get(name) for name in ("gevent.monkey", "eventlet.patcher"))
    if gevent is not None and gevent.is_module_patched("threading"):
        patcher = "gevent"
    elif eventlet is not None and eventlet.is_monkey_patched("thread"):
        patcher = "eventlet"
    else:
        return
    for receiver in receivers.values():
        if receiver.timeout is not None and not receiver.is_async:
            message = (
                f"{describe(receiver)} has timeout={receiver.timeout:g}, but {patcher} has patched "
                "the threads of this process and cannot interrupt one: remove timeout=, or run the "
                "worker without monkey patching"
            )
            raise ReceiverError(message)


def _pool_size(store: Store) -> int | None:
    """Return how many connections the engine's pool allows at most. ``None`` means no limit."""
    pool = getattr(getattr(store, "engine", None), "pool", None)
    if not isinstance(pool, QueuePool) or max_overflow(pool) < 0:
        return None
    return pool.size() + max_overflow(pool)
