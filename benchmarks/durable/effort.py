"""The amount of measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Effort:
    """The amount of measurements.

    Attributes:
        rounds: How many rounds; in each, every system has its turn in every case.
        deep_rounds: In how many of them it drains a deep backlog.
        enqueue_s: How long orders are committed one by one, in seconds.
        together: How many orders are committed at once.
        waiting: How many orders wait before an ordinary drain.
        deep: How many wait before a deep one.
        drain_s: After how many seconds a drain is cut off.
        paced: How many orders the latency is taken from.
        per_s: How many of them come in a second.
        idle_s: How long idle workers are watched, in seconds.
        total_s: After how many seconds no further turn is begun.
    """

    rounds: int
    deep_rounds: int
    enqueue_s: float
    together: int
    waiting: int
    deep: int
    drain_s: float
    paced: int
    per_s: int
    idle_s: float
    total_s: float


FULL: Final = Effort(
    rounds=3,
    deep_rounds=2,
    enqueue_s=1.5,
    together=5_000,
    waiting=10_000,
    deep=200_000,
    drain_s=6,
    paced=250,
    per_s=50,
    idle_s=20,
    total_s=1_450,
)
QUICK: Final = Effort(
    rounds=1,
    deep_rounds=1,
    enqueue_s=0.2,
    together=500,
    waiting=500,
    deep=2_000,
    drain_s=1.5,
    paced=20,
    per_s=50,
    idle_s=2,
    total_s=110,
)
