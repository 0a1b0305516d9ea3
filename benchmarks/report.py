"""Writes the report: the contenders and the machine, the goals, and every figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from benchmarks.cases import Effort
from benchmarks.contenders import (
    AFTER_COMMIT,
    ALDIS,
    ASEND,
    BASELINE,
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
from benchmarks.goals import SIZES, goals
from benchmarks.samples import Samples, Spread
from benchmarks.tables import NONE, number, ratio, table

Cell = Callable[[str, str], str]

_FIELD: Final = (BLINKER, *ALDIS, *PEERS, HAND, HAND_PAIRS)
_SHAPES: Final = {
    "open": "`**extra`",
    "methods": "bound methods",
    "narrow": "one sender's",
}
_WAYS: Final = {
    "disconnected": "each disconnected",
    "died": "all died",
    "strings": "strings, each disconnected",
    "own": "a receiver each",
}


class Report:
    """The report of one run.

    Args:
        samples: The figures of the run.
        about: The description of the machine.
        effort: The effort of the run.
        groups: The requested groups.
        figure: The file name of the plot, if there is one.
    """

    def __init__(
        self,
        samples: Samples,
        about: Mapping[str, str],
        effort: Effort,
        groups: Sequence[str],
        figure: str | None,
    ) -> None:
        self._samples = samples
        self._about = about
        self._effort = effort
        self._groups = groups
        self._figure = figure

    def text(self) -> str:
        """Return the whole report as Markdown."""
        sections = {
            "send": self._send,
            "variants": self._variants,
            "connect": self._connect,
            "paths": self._paths,
            "flask": self._flask,
        }
        lines = [*self._head(), *self._goals()]
        for group, section in sections.items():
            if group in self._groups:
                lines += section()
        return "\n".join([*lines, *self._skipped()]).rstrip() + "\n"

    def _head(self) -> Iterator[str]:
        effort = self._effort
        yield from ("# Results", "", "Written by `python -m benchmarks`; do not edit.", "")
        if self._figure is not None:
            yield from (f"![How many times as fast as blinker]({self._figure})", "")
        yield from table(["", ""], [[name, value] for name, value in self._about.items()])
        yield from table(
            ["measured", "version"],
            sorted([name, version] for name, version in self._samples.versions.items()),
        )
        yield (
            f"Each contender ran in a separate process, started {effort.launches} times. Each "
            f"launch had {effort.rounds} rounds, and each contender had one turn of "
            f"{effort.block_ms:g} ms in a round. The fastest of the turn's ten bursts counts. "
            "Ratios are taken within a round. The tables give the median and, in parentheses, the "
            "limits of the middle half of the rounds. Garbage collection was off during the "
            "measurement. [README](README.md) describes each contender."
        )
        if self._samples.cut_short:
            yield "**The time was up before all rounds were done.**"
        yield ""

    def _goals(self) -> Iterator[str]:
        by_work: dict[str, dict[str, list[str]]] = {}
        for goal in goals(self._samples, self._groups):
            engine, _, work = goal.work.partition(": ")
            note = f", {goal.note}" if goal.note else ""
            cells = [goal.wanted, ratio(goal.measured) + note, goal.verdict]
            by_work.setdefault(work.replace(" in Python", ""), {})[engine] = cells
        rows = [
            [work, *(cell for engine in ALDIS for cell in cells.get(engine.title, [""] * 3))]
            for work, cells in by_work.items()
            if work
        ]
        if rows:
            heads = [
                f"{engine.engine} engine: {head}"
                for engine in ALDIS
                for head in ("goal", "measured", "met")
            ]
            yield from ("## Goals", "")
            yield from table(["work", *heads], rows)

    def _send(self) -> Iterator[str]:
        series = [f"send/functions/{size}/ns" for size in SIZES]
        heads = [f"{size}" for size in SIZES]
        yield from ("## Send", "", "How many times as fast as blinker, by number of receivers:", "")
        yield from self._compared(_FIELD, series, heads, self._faster)
        yield from ("Nanoseconds for one send:", "")
        yield from self._compared(_FIELD, series, heads, self._absolute)

    def _variants(self) -> Iterator[str]:
        field = (BLINKER, *ALDIS, DJANGO, HAND_PAIRS)
        series = [f"variants/{shape}/{size}/ns" for shape in _SHAPES for size in (1, 10)]
        heads = [f"{what}, {size}" for what in _SHAPES.values() for size in (1, 10)]
        yield from ("## Other receivers", "", "How many times as fast as blinker:", "")
        yield from self._compared(field, series, heads, self._faster)
        yield from ("Nanoseconds for one send:", "")
        yield from self._compared(field, series, heads, self._absolute)
        series = [f"variants/functions/{size}/ns" for size in (1, 10)]
        yield from ("## What else aldis can be asked for", "")
        yield from ("Time of a plain send by the same engine, to 1 and to 10 receivers:", "")
        yield from self._compared(VARIANTS, series, ["1", "10"], self._cost)
        yield from ("How many times as fast as blinker:", "")
        yield from self._compared((*ALDIS, *VARIANTS), series, ["1", "10"], self._faster)

    def _connect(self) -> Iterator[str]:
        field = (BLINKER, *ALDIS)
        yield from ("## Connect and disconnect", "")
        for way, what in (("one", "One receiver for every sender"), ("own", "A receiver each")):
            sizes = sorted(self._sizes(f"connect/{way}/"))
            heads = [f"{size:,} senders" for size in sizes]
            for figure in ("connect", "disconnect"):
                series = [f"connect/{way}/{size}/{figure}" for size in sizes]
                yield from (f"{what}: nanoseconds for one {figure}:", "")
                yield from self._compared(field, series, heads, self._absolute)
            series = [f"connect/{way}/{size}/both" for size in sizes]
            yield from (f"{what}: both together, how many times as fast as blinker:", "")
            yield from self._compared(field, series, heads, self._faster)
        yield from ("Bytes held while all senders are connected, and left when they are gone:", "")
        series = [
            f"connect/{way}/{size}/{figure}"
            for way in _WAYS
            for size in self._sizes(f"connect/{way}/")
            for figure in ("held", "left")
        ]
        heads = [f"{what}: {figure}" for what in _WAYS.values() for figure in ("held", "left")]
        yield from self._compared(field, series, heads[: len(series)], self._absolute)

    def _paths(self) -> Iterator[str]:
        yield from ("## Async receivers, after the commit, import", "")
        for field, group, what in (
            ((HAND_ASYNC, *ASEND), "asend/coroutines", "asend: nanoseconds for one send"),
            ((HAND_COMMIT, *AFTER_COMMIT), "after_commit/functions", "A transaction, nanoseconds"),
        ):
            series = [f"{group}/{size}/ns" for size in (1, 10)]
            yield from (f"{what}, by number of receivers:", "")
            yield from self._compared(field, series, ["1", "10"], self._absolute)
        yield from ("Milliseconds of an import in a new interpreter:", "")
        field = (BLINKER, *ALDIS)
        yield from self._compared(field, ["import/package/1/ms"], ["import"], self._absolute)

    def _flask(self) -> Iterator[str]:
        cells = [(view, size) for view in ("plain", "page", "failing") for size in (0, 5)]
        series = [f"flask/{view}/{size}/ns" for view, size in cells]
        heads = [f"{view}, {size}" for view, size in cells]
        yield from ("## A Flask request", "")
        yield from ("By number of receivers on each core signal; time of blinker's:", "")
        yield from self._compared(FLASK, series, heads, self._slower)
        yield from ("Nanoseconds for one request:", "")
        yield from self._compared(FLASK, series, heads, self._absolute)
        series = [key for key in self._samples.series if key.startswith("callgrind/")]
        if series:
            heads = [", ".join(key.split("/")[1:3]) for key in series]
            yield from ("Instructions for one request, by callgrind:", "")
            yield from self._compared(FLASK, series, heads, self._absolute)

    def _skipped(self) -> Iterator[str]:
        if self._samples.skipped:
            yield from ("## Left out", "")
            yield from table(["contender or case", "reason"], sorted(self._samples.skipped.items()))

    def _compared(
        self, field: Sequence[Contender], series: Sequence[str], heads: Sequence[str], cell: Cell
    ) -> list[str]:
        """Return a table with a row for each contender that was measured in any of ``series``."""
        measured = {key for name in series for key in self._samples.contenders(name)}
        rows = [
            [contender.title, *(cell(name, contender.key) for name in series)]
            for contender in field
            if contender.key in measured
        ]
        return table(["", *heads], rows) if rows else ["Not measured.", ""]

    def _sizes(self, prefix: str) -> list[int]:
        return sorted(
            {int(key.split("/")[2]) for key in self._samples.series if key.startswith(prefix)}
        )

    def _faster(self, series: str, contender: str) -> str:
        return ratio(self._samples.ratio(series, BASELINE, contender))

    def _slower(self, series: str, contender: str) -> str:
        return ratio(self._samples.ratio(series, contender, BASELINE))

    def _cost(self, series: str, contender: str) -> str:
        plain = next(engine for engine in ALDIS if engine.engine == _engine_of(contender))
        return ratio(self._samples.ratio(series, contender, plain.key))

    def _absolute(self, series: str, contender: str) -> str:
        spread: Spread | None = self._samples.value(series, contender)
        return NONE if spread is None else number(spread.middle)


def _engine_of(key: str) -> str | None:
    return next(contender.engine for contender in VARIANTS if contender.key == key)
