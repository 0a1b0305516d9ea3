"""Takes the measurements in turns, so that a busy machine affects all contenders equally.

For every case, each contender has one block in each round. Each round has a new random order.
Ratios are later computed within a round. All contenders of a batch run in separate processes and
wait while another contender is measured.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from benchmarks.cases import Batch, Case, Effort
from benchmarks.process import WorkerError, WorkerProcess
from benchmarks.samples import Samples

Log = Callable[[str], None]


class Schedule:
    """One run of the benchmarks.

    Args:
        effort: How much to measure.
        log: A function that gets each line of progress.
    """

    def __init__(self, effort: Effort, log: Log) -> None:
        self._effort = effort
        self._log = log
        self._samples = Samples()
        self._deadline = time.monotonic() + effort.total_s

    def run(self, batches: Sequence[Batch]) -> Samples:
        """Measure ``batches`` and return the samples.

        Each batch is measured once before any is started again, so a run that must end early has
        samples of every batch.
        """
        for launch in range(self._effort.launches):
            for batch in batches:
                if self._expired():
                    self._samples.cut_short = True
                    break
                self._launch(batch, launch)
        return self._samples

    def _expired(self) -> bool:
        return time.monotonic() > self._deadline

    def _launch(self, batch: Batch, launch: int) -> None:
        with ExitStack() as stack:
            workers = []
            for contender in batch.contenders:
                # Twice the limit, because connect and disconnect are timed one after the other.
                worker = WorkerProcess(contender, 2 * self._effort.limit_s + 10)
                stack.callback(worker.end)
                workers.append(worker)
            for worker in workers:  # they import at the same time
                worker.send("describe")
            workers = [worker for worker in workers if self._introduce(worker)]
            for case in batch.cases:
                if launch == 0 or not case.once:
                    workers = self._measure(case, workers, launch)

    def _introduce(self, worker: WorkerProcess) -> bool:
        """Read the description of the worker. Return false if it cannot take part."""
        contender = worker.contender
        try:
            answer = worker.receive()
        except WorkerError as error:
            answer = {"error": str(error)}
        if "error" in answer:
            self._skip(contender.title, answer["error"])
            return False
        if answer["engine"] != contender.engine:
            self._skip(contender.title, f"the {answer['engine']} engine is in use instead")
            return False
        if answer["distribution"] is not None:
            self._samples.versions[answer["distribution"]] = answer["version"]
        return True

    def _measure(
        self, case: Case, workers: Sequence[WorkerProcess], launch: int
    ) -> list[WorkerProcess]:
        """Measure one case and return the workers that still run."""
        self._log(f"launch {launch + 1} of {self._effort.launches}: {case.key}")
        alive = list(workers)
        prepared = [worker for worker in workers if self._prepare(case, worker, alive)]
        rounds = self._rounds(case)
        for number in range(rounds):
            if number and self._expired():
                self._samples.cut_short = True
                break
            at = launch * rounds + number
            for worker in random.Random(at).sample(prepared, len(prepared)):
                answer = self._ask(case, worker, alive, "measure")
                if answer is None:
                    prepared.remove(worker)
                    continue
                for figure, value in answer.items():
                    self._samples.add(f"{case.key}/{figure}", worker.contender.key, at, value)
        return alive

    def _rounds(self, case: Case) -> int:
        if case.once:
            return 1
        slow = case.probe == "growth" and case.size >= 10_000
        return self._effort.slow_rounds if slow else self._effort.rounds

    def _prepare(self, case: Case, worker: WorkerProcess, alive: list[WorkerProcess]) -> bool:
        return self._ask(case, worker, alive, "prepare") is not None

    def _ask(
        self, case: Case, worker: WorkerProcess, alive: list[WorkerProcess], do: str
    ) -> dict[str, float] | None:
        """Return the answer of a worker, or ``None`` if the worker or the case failed."""
        details = case.request(self._effort) if do == "prepare" else {}
        try:
            answer = worker.ask(do, **details)
        except WorkerError as error:
            alive.remove(worker)
            worker.end()  # it may still be busy and would slow the others down
            self._skip(f"{worker.contender.title} from {case.key} on", str(error))
            return None
        reason = answer.get("unsupported") or answer.get("error")
        if reason is not None:
            self._skip(f"{worker.contender.title} in {case.key}", reason)
            return None
        return answer

    def _skip(self, who: str, reason: str) -> None:
        if who not in self._samples.skipped:
            self._log(f"skipped: {who}: {reason}")
            self._samples.skipped[who] = reason
