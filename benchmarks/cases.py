"""What is measured: the cases, who takes part in each, and how long it goes on."""

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
    """One thing to measure.

    Attributes:
        probe: How: ``loop`` (a statement), ``growth``, ``memory`` or ``import``.
        what: Which shape of crowd, view or way.
        size: The number of receivers, or of senders.
        once: Measured once, since it is the same each time.
    """

    group: str
    probe: str
    what: str
    size: int
    once: bool = False

    @property
    def key(self) -> str:
        """How the case is called in data."""
        return f"{self.group}/{self.what}/{self.size}"

    def request(self, effort: Effort) -> dict[str, Any]:
        """Return what a worker has to know to prepare for it."""
        return {**asdict(self), "block_ns": round(effort.block_ms * 1e6), "limit_s": effort.limit_s}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        launches: How often every process is started anew: an address layout can be lucky.
        rounds: How many rounds one launch measures; in each, every contender has its turn.
        slow_rounds: The same, for cases that take seconds.
        block_ms: How long a turn lasts, in milliseconds.
        limit_s: After how many seconds a turn is given up.
        total_s: After how many seconds no further round is begun.
        most_senders: The largest number of senders connected.
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
    """Contenders that are measured in turns, and the cases they are measured in."""

    contenders: Sequence[Contender]
    cases: Sequence[Case]


def plan(groups: Sequence[str], effort: Effort) -> list[Batch]:
    """Return what there is to do for ``groups``, in order."""
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
