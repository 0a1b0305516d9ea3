"""One turn of one system in one case: from an empty place to a figure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.durable.contenders import DEEP, DRAIN, ENQUEUE, LATENCY, TOGETHER, Contender
from benchmarks.durable.effort import Effort
from benchmarks.durable.places import place
from benchmarks.durable.process import ProcessError, Producer, Worker
from benchmarks.durable.producer import FIRST
from benchmarks.durable.tally import Mark, read

#: The time limit for the start of a worker, and for an answer of a producer, in seconds.
_START_S: Final = 30.0
_ANSWER_S: Final = 120.0
#: The time limit for the last acknowledgements, in seconds. Some systems collect them.
_ACKNOWLEDGE_S: Final = 5.0
_LOOK_S: Final = 0.01
#: The smallest number of parts of a timed drain, and the largest number of runs in a part.
_PARTS: Final = 50
_PART: Final = 200

Figures = Mapping[str, float]


@dataclass(slots=True)
class Site:
    """A place with its producer and the files of its workers.

    Attributes:
        versions: The versions of the packages.
    """

    contender: Contender
    where: str
    folder: Path
    producer: Producer
    versions: dict[str, str] = field(default_factory=dict)

    def worker(self, step: int) -> Worker:
        """Start the worker of the system."""
        return Worker(
            self.contender,
            self.where,
            self.folder / "worker.log",
            tally=self.folder / "tally",
            step=step,
        )


@contextmanager
def site(contender: Contender) -> Iterator[Site]:
    """Make a place, install the system in it, and remove the place at the end."""
    with ExitStack() as stack:
        where = stack.enter_context(place(contender.service))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="aldis-bench-")))
        log = folder / "producer.log"
        producer = stack.enter_context(Producer(contender, where, log, _ANSWER_S))
        made = Site(contender, where, folder, producer)
        made.versions = producer.ask("install")["versions"]
        yield made


def enqueue(here: Site, effort: Effort, _seed: int) -> Figures:
    """Return the number of orders per second, each with its own commit."""
    return {"rate": here.producer.ask("enqueue", seconds=effort.enqueue_s)["rate"]}


def together(here: Site, effort: Effort, _seed: int) -> Figures:
    """Return the number of orders per second in one transaction; none without transactions."""
    answer = here.producer.ask("together", count=effort.together)
    return {"rate": answer["rate"]} if "rate" in answer else {}


def drain(here: Site, effort: Effort, _seed: int) -> Figures:
    """Return the number of runs per second from an ordinary backlog."""
    return _drain(here, effort.waiting, effort.drain_s)


def deep(here: Site, effort: Effort, _seed: int) -> Figures:
    """Return the number of runs per second from a deep backlog."""
    return _drain(here, effort.deep, effort.drain_s)


def latency(here: Site, effort: Effort, seed: int) -> Figures:
    """Return the milliseconds from commit to receiver: the median and two high percentiles.

    The first second does not count, because some systems poll more often under load.
    """
    count = effort.per_s + effort.paced
    with here.worker(step=1) as worker:
        wake(here, worker)
        sent = here.producer.ask("paced", count=count, per_s=effort.per_s, seed=seed)["sent"]
        ran = {mark.order_id: mark.at_ns for mark in _wait_for(worker, len(sent) + 1)}
    missing = [number for number in range(len(sent)) if FIRST + number not in ran]
    if missing:
        raise ProcessError(f"{len(missing)} of {len(sent)} orders did not arrive")
    taken = [(ran[FIRST + number] - at) / 1e6 for number, at in enumerate(sent)]
    cuts = quantiles(taken[effort.per_s :], n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


def wake(here: Site, worker: Worker) -> None:
    """Wait until the worker has run its first order, and a little longer."""
    here.producer.ask("wake")
    _wait_for(worker, 1)
    time.sleep(0.5)


#: The function of each case. Idle workers are measured together, elsewhere.
MEASURES: Final[Mapping[str, Callable[[Site, Effort, int], Figures]]] = {
    ENQUEUE: enqueue,
    TOGETHER: together,
    DRAIN: drain,
    DEEP: deep,
    LATENCY: latency,
}


def _drain(here: Site, waiting: int, limit_s: float) -> Figures:
    """Return the runs per second, from the first run until ``waiting`` runs later.

    More orders wait behind them, so neither the first claim nor the end of the backlog is timed:
    between them, the numbers of claims, runs and acknowledgements are equal. If a drain is cut
    off, at least half of the runs must be acknowledged.
    """
    filled = waiting + waiting // 10
    here.producer.ask("fill", count=filled)
    step = min(waiting // _PARTS, _PART)
    with here.worker(step=step) as worker:
        marks = _watch(worker, waiting, limit_s)
        runs = marks[-1].number
        _acknowledged(here, 0 if runs >= waiting else filled - runs // 2)
    first, last = marks[0], next((m for m in marks if m.number == waiting), marks[-1])
    if first is last:
        raise ProcessError(f"fewer than {step} runs in {limit_s:g} s")
    return {"rate": (last.number - first.number) / (last.at_ns - first.at_ns) * 1e9}


def _watch(worker: Worker, runs: int, limit_s: float) -> list[Mark]:
    """Wait for so many runs, or until the time limit after the first run."""
    first = _wait_for(worker, 1)[0]
    deadline = first.at_ns + limit_s * 1e9
    marks = read(worker.tally)
    while marks[-1].number < runs and time.monotonic_ns() < deadline:
        time.sleep(_LOOK_S)
        marks = read(worker.tally)
        if not worker.alive() and marks == read(worker.tally) and marks[-1].number < runs:
            raise ProcessError(f"the worker died: {worker.last_words()}")
    return sorted(marks, key=lambda mark: mark.number)


def _wait_for(worker: Worker, lines: int) -> list[Mark]:
    """Wait until the tally has so many lines. After the time limit, return the present lines."""
    deadline = time.monotonic() + _START_S
    marks = read(worker.tally)
    while len(marks) < lines and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        alive = worker.alive()
        marks = read(worker.tally)
        if not alive and len(marks) < lines:
            raise ProcessError(f"the worker died: {worker.last_words()}")
    if not marks:
        raise ProcessError(f"the worker ran nothing in {_START_S:g} s: {worker.last_words()}")
    return marks


def _acknowledged(here: Site, most: int) -> None:
    """Wait until at most ``most`` orders are left. An unacknowledged order would run again."""
    deadline = time.monotonic() + _ACKNOWLEDGE_S
    while (left := here.producer.ask("left")["left"]) > most:
        if time.monotonic() > deadline:
            raise ProcessError(f"of the orders that ran, {left - most} were not acknowledged")
        time.sleep(0.1)
