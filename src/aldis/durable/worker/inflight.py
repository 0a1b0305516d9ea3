"""Tracks in-flight deliveries, and results that are not saved yet."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import cast

from aldis.durable.store import Store
from aldis.durable.types import AttemptFailure, ClaimedDelivery
from aldis.durable.worker.attempt import AttemptResult
from aldis.durable.worker.limits import BATCH, CLAIM_AHEAD, COMPLETE_WITHIN
from aldis.durable.worker.runs import Job, Runs
from aldis.errors import OutboxError

__all__ = ["Counts", "InFlight"]


@dataclass(slots=True)
class Counts:
    """The numbers behind the properties of :class:`aldis.durable.Worker`."""

    done: int = 0
    failed: int = 0
    given_back: int = 0
    left_running: int = 0


class InFlight:
    """The deliveries of one worker loop, from the claim until the result is saved.

    Only :attr:`results` is used by several threads. Everything else belongs to the loop's thread.

    Args:
        store: The store that saves the results.
        counts: Updated with each result.
        concurrency: The number of threads.
        claim_ahead: The longest average duration of a receiver that is claimed in advance.
        on_result: Called with each result before it is saved.
        on_failure: Called with each failed attempt after it was saved.

    Attributes:
        results: Results that are not processed yet. ``None`` only wakes the loop.
        jobs: The jobs that were handed to an executor, by the id of the delivery.
        completed: Successful deliveries whose completion is not saved yet.
        exclusive: Whether a job is running that must run alone.
        runs: The runs of ordering keys.
        load: The expected duration of the jobs, in seconds, without the long ones.
        free_threads: The number of threads that no long job holds.
    """

    def __init__(
        self,
        store: Store,
        counts: Counts,
        concurrency: int,
        *,
        claim_ahead: float = CLAIM_AHEAD,
        on_result: Callable[[AttemptResult], None] | None = None,
        on_failure: Callable[[AttemptResult], None] | None = None,
    ) -> None:
        self._store = store
        self._counts = counts
        self._claim_ahead = claim_ahead
        self._on_result = on_result
        self._on_failure = on_failure
        self.results: deque[AttemptResult | None] = deque()
        self.jobs: dict[int, Job] = {}
        self.completed: list[ClaimedDelivery] = []
        self.exclusive: bool = False
        self.load: float = 0.0
        self.free_threads: int = concurrency
        self._by_lease: Counter[str] = Counter()
        self._completed_since = 0.0
        self._not_started: list[ClaimedDelivery] = []
        self._blocking: list[ClaimedDelivery] = []  # completed, and their keys are not unblocked
        self._failed: list[AttemptResult] = []
        self._average: dict[str, float] = {}  # seconds, by receiver
        self._held_up: list[ClaimedDelivery] = []  # an earlier delivery of the key has failed
        self._ended_run = False  # whether a run has ended whose completion is not saved
        self.runs: Runs = Runs()

    def expected_seconds(self, receiver: str) -> float | None:
        """Return the expected duration of a receiver. ``None`` means long or unknown."""
        average = self._average.get(receiver, self._claim_ahead)
        return average if average < self._claim_ahead else None

    def is_in_use(self, lease: str) -> bool:
        """Tell whether a delivery that was claimed under a lease is not saved yet."""
        return self._by_lease[lease] > 0 or any(each.worker == lease for each in self.completed)

    def track(self, jobs: Sequence[Job], expected: float | None) -> None:
        """Add jobs that are about to run.

        Args:
            jobs: The jobs, of one receiver.
            expected: The expected duration of each, in seconds. ``None`` means long or unknown.
        """
        for job in jobs:
            self.jobs[job.claimed.id] = job
            self._by_lease[job.claimed.worker] += 1
        if expected is None:
            self.free_threads -= len(jobs)
        else:
            self.load += len(jobs) * expected

    def flush(self, *, everything: bool) -> None:
        """Save results: failures at once, completions in batches.

        Args:
            everything: Save all completions now.
        """
        received = False
        while self.results:
            result = self.results.popleft()
            if result is not None:
                received = self.process(result) or received
        if self._blocking:
            self._store.unblock(self._blocking)
            self._blocking.clear()
        self._save_releases()
        self._save_failures()
        if self.completed and (everything or self._is_batch_complete(received=received)):
            completed, self.completed = self.completed, []
            self._ended_run = False
            try:
                self._store.complete(completed)
            except OutboxError:
                self.completed = completed + self.completed
                raise

    def _save_releases(self) -> None:
        """Release deliveries that have not run.

        It comes before the failures: when a failed delivery waits again, the later ones of its key
        must not be running.
        """
        if self._not_started:
            self._counts.given_back += self._store.release(self._not_started)
            self._not_started.clear()
        if self._held_up:
            self._store.release(self._held_up)
            self._held_up.clear()

    def _save_failures(self) -> None:
        while self._failed:
            result = self._failed[-1]
            failure = cast("AttemptFailure", result.failure)
            is_held = self._store.fail(result.job.claimed, failure)
            self._failed.pop()
            if is_held and failure.counts:  # otherwise another worker decides
                self._counts.failed += 1
                if self._on_failure is not None:
                    self._on_failure(result)

    def _is_batch_complete(self, *, received: bool) -> bool:
        """Tell whether waiting for more completions gains nothing, or takes too long."""
        return (
            not self.jobs
            or len(self.completed) >= BATCH / 2
            or monotonic() - self._completed_since > COMPLETE_WITHIN
            or not received
            or self._ended_run
        )

    def process(self, result: AttemptResult) -> bool:
        """Take over a result that :meth:`flush` will save.

        Returns:
            Whether the job was still in flight. An interrupted attempt may report late, when the
            next attempt is already running.
        """
        claimed = result.job.claimed
        if self.jobs.get(claimed.id) is not result.job:
            return False
        del self.jobs[claimed.id]
        self._forget(result.job)
        self._end_run(result)
        if not result.started:
            self._not_started.append(claimed)
            return True
        if self._on_result is not None:
            self._on_result(result)
        self._update_average(claimed.receiver, result.seconds)
        if result.failure is not None:
            self._failed.append(result)
            return True
        self._counts.done += 1
        if result.completed:
            if claimed.order_key is not None:
                self._blocking.append(claimed)
        else:
            if not self.completed:
                self._completed_since = monotonic()
            self.completed.append(claimed)
            run = result.job.run
            # The next delivery of the key waits for this completion.
            self._ended_run = self._ended_run or (run is not None and run.is_idle)
        return True

    def _end_run(self, result: AttemptResult) -> None:
        """Release the rest of a run after a failure. A later flush saves the failure itself."""
        run, claimed = result.job.run, result.job.claimed
        if run is None or claimed.order_key is None:
            return
        if result.is_success and not run.is_idle:
            return
        if not result.is_success:
            for job in run.close():
                if self.jobs.pop(job.claimed.id, None) is not None:
                    self._forget(job)
                    self._held_up.append(job.claimed)
        self.runs.forget(claimed.receiver, claimed.order_key, run)

    def _update_average(self, receiver: str, seconds: float) -> None:
        before = self._average.get(receiver)
        self._average[receiver] = seconds if before is None else before + (seconds - before) / 20

    def _forget(self, job: Job) -> None:
        self.exclusive = False
        if job.expected is None:
            self.free_threads += 1
        else:
            self.load -= job.expected
        if not self.jobs:
            self.load = 0.0  # removes rounding errors
        lease = job.claimed.worker
        self._by_lease[lease] -= 1
        if self._by_lease[lease] <= 0:
            del self._by_lease[lease]
