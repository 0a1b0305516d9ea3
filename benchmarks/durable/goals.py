"""The goals for the speed of durable receivers, and the results of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.durable.contenders import (
    ALL,
    DEEP,
    DRAIN,
    ENQUEUE,
    IDLE,
    LATENCY,
    MARIADB,
    POSTGRESQL,
    SQLITE,
)
from benchmarks.durable.effort import Effort
from benchmarks.goals import Goal
from benchmarks.samples import Samples, Spread

DRAINED: Final = f"{DRAIN}/rate"
_TITLES: Final = {contender.key: contender.title for contender in ALL}
_PG: Final = "aldis-postgresql"
_LITE: Final = "aldis-sqlite"
_PGQUEUER: Final = ("pgqueuer-best", "pgqueuer-unsynchronised", "pgqueuer")
_MS: Final = "ms"


def goals(samples: Samples, effort: Effort) -> list[Goal]:
    """Return all goals. A goal without a figure is marked."""
    return [*_drain(samples), *_enqueue(samples), *_latency(samples, effort), *_flat(samples)]


def flatness(samples: Samples, contender: str) -> Spread | None:
    """Return the speed of the deep drain divided by the speed of the ordinary drain."""
    ordinary = samples.series.get(DRAINED, {}).get(contender, {})
    deep = samples.series.get(f"{DEEP}/rate", {}).get(contender, {})
    divided = [rate / ordinary[at] for at, rate in deep.items() if ordinary.get(at)]
    return Spread.of(divided) if divided else None


def _drain(samples: Samples) -> Iterator[Goal]:
    for who, what, peers, least in (
        (_PG, "Drain, PostgreSQL", _PGQUEUER, 1.0),
        (f"{_PG}-session", "Drain, PostgreSQL, through `session`", ("bare-postgresql",), 0.7),
        (
            f"{_PG}-session",
            "Drain, PostgreSQL, through `session`",
            ("procrastinate-best", "procrastinate"),
            5.0,
        ),
        (_LITE, "Drain, SQLite", ("huey-best", "huey"), 4.0),
        (f"{_PG}-keyed", "Drain by 10 keys, PostgreSQL", (_PG,), 0.8),
        (f"{_LITE}-keyed", "Drain by 10 keys, SQLite", (_LITE,), 0.8),
    ):
        yield _as_fast_as(samples, DRAINED, who, what, peers, least)


def _enqueue(samples: Samples) -> Iterator[Goal]:
    for service in (POSTGRESQL, SQLITE, MARIADB):
        for bare in (f"bare-{service.lower()}", f"bare-{service.lower()}-session"):
            if bare in _TITLES:
                who, what = f"aldis-{service.lower()}", f"Enqueue, {service}, one commit each"
                yield _as_fast_as(samples, f"{ENQUEUE}/rate", who, what, (bare,), 0.6)


def _latency(samples: Samples, effort: Effort) -> Iterator[Goal]:
    for who, figure, most in ((_PG, "p50", 3.0), (_PG, "p99", 15.0), (_LITE, "p50", 10.0)):
        work = f"{_TITLES[who]}: commit to receiver, {figure}"
        yield Goal(work, samples.value(f"{LATENCY}/{figure}", who), most=most, unit=_MS)
    for who in (_PG, _LITE):
        work = f"{_TITLES[who]}: processor time of an idle worker in {effort.idle_s:g} s"
        yield Goal(work, samples.value(f"{IDLE}/cpu_s", who), most=0.2, unit="s")


def _flat(samples: Samples) -> Iterator[Goal]:
    for who in (_PG, f"{_PG}-session", _LITE, f"{_LITE}-session"):
        work = f"{_TITLES[who]}: drain of the deep backlog, part of the speed of the ordinary one"
        yield Goal(work, flatness(samples, who), least=0.9)


def _as_fast_as(
    samples: Samples, series: str, who: str, what: str, peers: Sequence[str], least: float
) -> Goal:
    """Compare with the fastest of ``peers``, in its best settings."""
    ratios = {
        peer: ratio for peer in peers if (ratio := samples.ratio(series, who, peer)) is not None
    }
    closest = min(ratios, key=lambda peer: ratios[peer].middle, default=peers[0])
    return Goal(f"{what}, as fast as {_TITLES[closest]}", ratios.get(closest), least=least)
