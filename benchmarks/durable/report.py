"""Writes the report: the systems, the machine, the goals, and every figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.durable.contenders import (
    ALL,
    DEEP,
    ENQUEUE,
    IDLE,
    LATENCY,
    TOGETHER,
    Contender,
)
from benchmarks.durable.effort import Effort
from benchmarks.durable.goals import DRAINED, flatness, goals
from benchmarks.samples import Samples
from benchmarks.tables import NONE, number, ratio, table

_QUANTILES: Final = ("p50", "p95", "p99")


class Report:
    """The report of one run.

    Args:
        samples: The figures.
        about: The machine and its software.
        effort: The amount of measurements.
        figure: The file name of the plot, if there is one.
    """

    def __init__(
        self, samples: Samples, about: Mapping[str, str], effort: Effort, figure: str | None
    ) -> None:
        self._samples = samples
        self._about = about
        self._effort = effort
        self._figure = figure

    def text(self) -> str:
        """Return the report in Markdown."""
        sections = (
            self._head,
            self._goals,
            self._drain,
            self._enqueue,
            self._latency,
            self._idle,
            self._notes,
            self._skipped,
        )
        return "\n".join(line for section in sections for line in section()).rstrip() + "\n"

    def _head(self) -> Iterator[str]:
        yield from ("# Durable receivers", "")
        yield from ("Written by `python -m benchmarks.durable`; do not edit.", "")
        if self._figure is not None:
            yield from (f"![Drain, enqueue, latency and idle workers]({self._figure})", "")
        yield from table(["", ""], [[name, value] for name, value in self._about.items()])
        yield from table(
            ["measured", "version"],
            sorted([name, version] for name, version in self._samples.versions.items()),
        )
        yield (
            f"In turns, {self._effort.rounds} rounds, in an order shuffled anew in each; every "
            "turn began in an empty database, with processes of its own and one worker. Ratios are "
            "taken within a round; given are the median and, in parentheses, between what the "
            "middle half of the rounds lay. Every receiver only counts, except where it says "
            "otherwise, and a row is acknowledged after its run. "
            "[README](durable/README.md) says how each figure is taken."
        )
        if self._samples.cut_short:
            yield from ("", "**The time was up before all rounds were done.**")
        yield ""

    def _goals(self) -> Iterator[str]:
        rows = [
            [goal.work, goal.wanted, ratio(goal.measured), goal.verdict]
            for goal in goals(self._samples, self._effort)
        ]
        yield from ("## Goals", "", *table(["work", "goal", "measured", "met"], rows))

    def _drain(self) -> Iterator[str]:
        waiting, deep = f"{self._effort.waiting:,} wait", f"{self._effort.deep:,} wait"
        yield from ("## Drain", "", "Orders run in a second while so many wait:", "")
        rows = [
            [
                each.title,
                self._value(DRAINED, each),
                self._value(f"{DEEP}/rate", each),
                ratio(flatness(self._samples, each.key)),
            ]
            for each in self._measured(DRAINED, f"{DEEP}/rate")
        ]
        yield from self._table(["", waiting, deep, "the second, part of the first"], rows)
        yield (
            f"A drain is cut off after {self._effort.drain_s:g} s; the figure is then of what ran "
            "until then."
        )
        yield ""

    def _enqueue(self) -> Iterator[str]:
        one, many = f"{ENQUEUE}/rate", f"{TOGETHER}/rate"
        yield from ("## Enqueue", "", "Orders handed in, in a second:", "")
        rows = [
            [
                each.title,
                self._value(one, each),
                self._beside_bare(one, each),
                self._value(many, each),
            ]
            for each in self._measured(one, many)
        ]
        heads = [
            "",
            "one commit each",
            "part of a bare INSERT and COMMIT",
            f"{self._effort.together:,} in one transaction",
        ]
        yield from self._table(heads, rows)

    def _latency(self) -> Iterator[str]:
        series = [f"{LATENCY}/{each}" for each in _QUANTILES]
        yield from ("## Latency", "")
        yield (
            f"Milliseconds from the return of the commit to the receiver, at {self._effort.per_s} "
            "a second:"
        )
        yield ""
        rows = [
            [each.title, *(self._value(name, each) for name in series)]
            for each in self._measured(*series)
        ]
        yield from self._table(["", *_QUANTILES], rows)

    def _idle(self) -> Iterator[str]:
        series = f"{IDLE}/cpu_s"
        yield from ("## Idle", "")
        yield f"Seconds of processor time of an idle worker in {self._effort.idle_s:g} s:"
        yield ""
        rows = [[each.title, self._value(series, each)] for each in self._measured(series)]
        yield from self._table(["", "s"], rows)

    def _notes(self) -> Iterator[str]:
        measured = {key for series in self._samples.series.values() for key in series}
        notes: dict[str, list[str]] = {}
        for each in ALL:
            if each.note and each.key in measured:
                notes.setdefault(each.note, []).append(each.title)
        if notes:
            yield from ("## To know", "")
            yield from (f"- {'; '.join(titles)}: {note}." for note, titles in notes.items())
            yield ""

    def _skipped(self) -> Iterator[str]:
        if self._samples.skipped:
            yield from ("## Left out", "")
            yield from table(["system or case", "reason"], sorted(self._samples.skipped.items()))

    def _measured(self, *series: str) -> list[Contender]:
        """Return the systems in any of ``series``, in the order of the list."""
        keys = {key for name in series for key in self._samples.contenders(name)}
        return [each for each in ALL if each.key in keys]

    def _value(self, series: str, contender: Contender) -> str:
        spread = self._samples.value(series, contender.key)
        return NONE if spread is None else number(spread.middle)

    def _beside_bare(self, series: str, contender: Contender) -> str:
        """Compare with the raw driver on the same database."""
        return ratio(
            self._samples.ratio(series, contender.key, f"bare-{contender.service.lower()}")
        )

    @staticmethod
    def _table(heads: Sequence[str], rows: list[list[str]]) -> list[str]:
        return table(heads, rows) if rows else ["Not measured.", ""]
