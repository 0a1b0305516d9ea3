"""The cases, the contenders of each case, and the effort of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.contenders import (
    AFTER_COMMIT,
    ALDIS,
    ASEND,
    BLINKER,
    DJANGO,
    FLASK,
    HAND,
    HAND_ASYNC,
    HAND_COMMIT,
    HAND_PAIRS,
    PEERS,
    VARIANTS,
    Contender,
)

GROUPS: Final = ("send", "variants", "connect", "paths", "flask")


@dataclass(frozen=True, slots=True)
class Case:
    """A case to measure.

    Attributes:
        probe: The kind: ``loop`` (a statement), ``growth``, ``memory`` or ``import``.
        what: The shape of the participants, the view or the way.
        size: The number of receivers, or of senders.
        once: Whether to measure only once, because the result never changes.
    """

    group: str
    probe: str
    what: str
    size: int
    once: bool = False

    @property
    def key(self) -> str:
        """Return the name of the case in the data."""
        return f"{self.group}/{self.what}/{self.size}"

    def request(self, effort: Effort) -> dict[str, Any]:
        """Return the data that a worker needs to prepare the case."""
        return {**asdict(self), "block_ns": round(effort.block_ms * 1e6), "limit_s": effort.limit_s}


@dataclass(frozen=True, slots=True)
class Effort:
    """The number and the duration of the measurements.

    Attributes:
        launches: The number of starts of each process, because an address layout can be lucky.
        rounds: The number of rounds of a launch. Each round measures every contender.
        slow_rounds: The number of rounds for cases that take seconds.
        block_ms: The duration of one measurement, in milliseconds.
        limit_s: The seconds after which a measurement is stopped.
        total_s: The seconds after which no new round begins.
        most_senders: The largest number of connected senders.
    """

    launches: int
    rounds: int
    slow_rounds: int
    block_ms: float
    limit_s: float
    total_s: float
    most_senders: int


FULL: Final = Effort(
    launches=3,
    rounds=12,
    slow_rounds=2,
    block_ms=20,
    limit_s=10,
    total_s=450,
    most_senders=100_000,
)
QUICK: Final = Effort(
    launches=1,
    rounds=3,
    slow_rounds=1,
    block_ms=0.5,
    limit_s=2,
    total_s=12,
    most_senders=1000,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Contenders that are measured in turns, and their cases."""

    contenders: Sequence[Contender]
    cases: Sequence[Case]


def plan(groups: Sequence[str], effort: Effort) -> list[Batch]:
    """Return the batches of ``groups`` in order."""
    return [batch for group in GROUPS if group in groups for batch in _BATCHES[group](effort)]


def _send(effort: Effort) -> list[Batch]:
    cases = [Case("send", "loop", "functions", size) for size in (0, 1, 10, 100)]
    return [Batch((BLINKER, *ALDIS, *PEERS, HAND, HAND_PAIRS), cases)]


def _variants(effort: Effort) -> list[Batch]:
    shapes = [
        Case("variants", "loop", shape, size)
        for shape in ("open", "methods", "narrow")
        for size in (1, 10)
    ]
    plain = [Case("variants", "loop", "functions", size) for size in (1, 10)]
    return [
        Batch((BLINKER, *ALDIS, DJANGO, HAND_PAIRS), shapes),
        Batch((BLINKER, *ALDIS, *VARIANTS), plain),
    ]


def _connect(effort: Effort) -> list[Batch]:
    sizes = [size for size in (10, 100, 1000, 10_000, 100_000) if size <= effort.most_senders]
    growth = [Case("connect", "growth", way, size) for way in ("one", "own") for size in sizes]
    memory = [
        Case("connect", "memory", way, effort.most_senders, once=True)
        for way in ("disconnected", "died", "strings", "own")
    ]
    return [Batch((BLINKER, *ALDIS), growth + memory)]


def _paths(effort: Effort) -> list[Batch]:
    awaited = [Case("asend", "loop", "coroutines", size) for size in (1, 10)]
    committed = [Case("after_commit", "loop", "functions", size) for size in (1, 10)]
    return [
        Batch((HAND_ASYNC, *ASEND), awaited),
        Batch((HAND_COMMIT, *AFTER_COMMIT), committed),
        Batch((BLINKER, *ALDIS), [Case("import", "import", "package", 1)]),
    ]


def _flask(effort: Effort) -> list[Batch]:
    cases = [
        Case("flask", "loop", view, size)
        for view in ("plain", "page", "failing")
        for size in (0, 5)
    ]
    return [Batch(FLASK, cases)]


_BATCHES: Final = {
    "send": _send,
    "variants": _variants,
    "connect": _connect,
    "paths": _paths,
    "flask": _flask,
}
