"""Measures in rounds, so that a disturbance of the machine affects all systems.

In each round, every system has one turn in every case, in a random order. Ratios are
taken within a round. One system works at a time, but idle workers are measured together.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from benchmarks.durable.contenders import CASES, DEEP, IDLE, Contender
from benchmarks.durable.effort import Effort
from benchmarks.durable.places import AbsentError, describe
from benchmarks.durable.process import ProcessError, Worker
from benchmarks.durable.turn import MEASURES, Figures, site, wake
from benchmarks.samples import Samples

Log = Callable[[str], None]

#: How long idle workers may still be starting, in seconds.
_SETTLE_S: Final = 3.0


class Schedule:
    """One run of the benchmark.

    Args:
        effort: The amount of measurements.
        log: Called with each line about the progress.
    """

    def __init__(self, effort: Effort, log: Log) -> None:
        self._effort = effort
        self._log = log
        self._began = time.monotonic()
        self.samples = Samples()
        #: The version and settings of each service that runs.
        self.services: dict[str, str] = {}

    def run(self, contenders: Sequence[Contender], cases: Sequence[str]) -> None:
        """Measure ``contenders`` in their ``cases``."""
        present = [contender for contender in contenders if self._present(contender)]
        for at in range(self._effort.rounds):
            for case in CASES:
                if case in cases and (case != DEEP or at < self._effort.deep_rounds):
                    self._case(case, present, at)

    def _present(self, contender: Contender) -> bool:
        """Return whether the service of the system runs. Its library is checked later."""
        service = contender.service
        if service not in self.services:
            try:
                self.services[service] = describe(service)
            except AbsentError as error:
                self._skip(contender.title, str(error))
                return False
        return True

    def _case(self, case: str, contenders: Sequence[Contender], at: int) -> None:
        taking_part = [each for each in contenders if self._takes_part(each, case)]
        random.Random(at).shuffle(taking_part)
        if case == IDLE:
            self._idle(taking_part, at)
            return
        for contender in taking_part:
            if not self._in_time(contender, case, at):
                return
            try:
                figures = self._turn(case, contender, at)
            except (ProcessError, AbsentError, OSError) as error:
                self._skip(f"{contender.title} in {case}", str(error))
            else:
                self._note(case, contender, at, figures)

    def _turn(self, case: str, contender: Contender, at: int) -> Figures:
        with site(contender) as here:
            self.samples.versions.update(here.versions)
            return MEASURES[case](here, self._effort, at)

    def _idle(self, contenders: Sequence[Contender], at: int) -> None:
        """Start all workers, let each run one order, and measure them while idle."""
        with ExitStack() as stack:
            workers: list[Worker] = []
            for contender in contenders:
                if not self._in_time(contender, IDLE, at):
                    break
                try:
                    here = stack.enter_context(site(contender))
                    worker = stack.enter_context(here.worker(step=1))
                    wake(here, worker)
                except (ProcessError, AbsentError, OSError) as error:
                    self._skip(f"{contender.title} in {IDLE}", str(error))
                else:
                    workers.append(worker)
            time.sleep(_SETTLE_S)
            before = [worker.cpu_s() for worker in workers]
            time.sleep(self._effort.idle_s)
            after = [worker.cpu_s() for worker in workers]
            for worker, start, end in zip(workers, before, after, strict=True):
                self._note(IDLE, worker.contender, at, {"cpu_s": end - start})

    def _note(self, case: str, contender: Contender, at: int, figures: Figures) -> None:
        for figure, value in figures.items():
            self.samples.add(f"{case}/{figure}", contender.key, at, value)
        line = ", ".join(f"{figure} {value:,.2f}" for figure, value in figures.items())
        self._log(f"    {contender.title}: {line or 'does not have this feature'}")

    def _takes_part(self, contender: Contender, case: str) -> bool:
        """Leave out a system that failed in this case before."""
        return case in contender.cases and not (
            {contender.title, f"{contender.title} in {case}"} & self.samples.skipped.keys()
        )

    def _in_time(self, contender: Contender, case: str, at: int) -> bool:
        taken = time.monotonic() - self._began
        if taken > self._effort.total_s:
            self.samples.cut_short = True
            return False
        self._log(
            f"{taken:5.0f} s, round {at + 1} of {self._effort.rounds}: {case}, {contender.title}"
        )
        return True

    def _skip(self, who: str, reason: str) -> None:
        # A report must not contain paths of this machine.
        shown = re.sub(r"(?<![\w:/])/[\w./-]+", "…", " ".join(reason.split()))
        self._log(f"skipped: {who}: {shown}")
        self.samples.skipped[who] = shown
