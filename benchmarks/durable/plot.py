"""Draws the run on one page: drain, enqueue, latency and idle workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.durable.contenders import ALDIS, ALL, BARE, DEEP, ENQUEUE, IDLE, LATENCY, Contender
from benchmarks.durable.goals import DRAINED
from benchmarks.samples import Samples
from benchmarks.tables import number

_INK: Final = "#22303c"
_FAINT: Final = "#d9dee3"
_ALDIS: Final = "#f2a20c"  # the colour of lamplight
_BARE: Final = "#b9c2ca"
_PEER: Final = "#7c93a8"
_STYLE: Any = {
    "font.size": 8,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.hashsalt": "aldis",  # the same run gives the same file
}


def draw(samples: Samples, about: Mapping[str, str], out: Path) -> str:
    """Draw ``samples`` into durable.svg and durable.png, and return the name of the first."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(13, 11), layout="constrained")
        figure.suptitle("Durable receivers, side by side", size=16, weight="bold")
        axes = figure.subplots(2, 2, gridspec_kw={"height_ratios": (1.4, 1)})
        _bars(axes[0][0], samples, DRAINED, "run in a second", DEEP)
        _bars(axes[0][1], samples, f"{ENQUEUE}/rate", "enqueued in a second, one commit each")
        _spans(axes[1][0], samples)
        _bars(axes[1][1], samples, f"{IDLE}/cpu_s", "processor time of an idle worker, s")
        place = (f"{about['processor']}, {about['cores']} cores", about["Python"], about["date"])
        figure.supxlabel(" · ".join(place), size=7.5, color=_PEER, x=0.01, ha="left")
        figure.savefig(out / "durable.svg", metadata={"Date": None})
        figure.savefig(out / "durable.png", dpi=130, metadata={"Software": None})
    return "durable.svg"


def _colour(contender: Contender) -> str:
    if contender in ALDIS:
        return _ALDIS
    return _BARE if contender in BARE else _PEER


def _field(axes: Axes, samples: Samples, series: str, title: str) -> list[Contender]:
    """Prepare a row for each measured system, the best on top, and return them."""
    axes.set_title(title)
    measured = samples.contenders(series)
    field = [each for each in ALL if each.key in measured]
    rising = series.endswith("/rate")
    field.sort(key=lambda each: samples.median_of(series, each.key) or 0, reverse=rising)
    axes.set_yticks(range(len(field)), [each.title for each in field])
    axes.set_ylim(len(field) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    if not field:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=_PEER)
    return field


def _bars(axes: Axes, samples: Samples, series: str, title: str, deep: str | None = None) -> None:
    """Draw a bar for each system. A dot is the figure of the deep backlog."""
    for row, contender in enumerate(_field(axes, samples, series, title)):
        spread = samples.value(series, contender.key)
        if spread is None:
            continue
        axes.barh(row, spread.middle, height=0.68, color=_colour(contender))
        axes.hlines(row, spread.low, spread.high, color=_INK, linewidth=1)
        dot = samples.median_of(f"{deep}/rate", contender.key)
        _say(axes, number(spread.middle), max(spread.high, dot or 0), row, contender)
        if dot is not None:
            axes.plot(dot, row, "o", color=_INK, markersize=4)
    axes.margins(x=0.15)
    if deep is not None and axes.patches:
        axes.set_xscale("log")
        axes.set_xlabel("logarithmic; the dot: from the deep backlog")


def _spans(axes: Axes, samples: Samples) -> None:
    """Draw a line from the median to the 99th percentile for each."""
    first, last = f"{LATENCY}/p50", f"{LATENCY}/p99"
    field = _field(axes, samples, first, "milliseconds from commit to receiver, p50 to p99")
    for row, contender in enumerate(field):
        low, high = samples.median_of(first, contender.key), samples.median_of(last, contender.key)
        if low is None or high is None:
            continue
        axes.hlines(row, low, high, color=_colour(contender), linewidth=4)
        axes.plot(low, row, "o", color=_INK, markersize=4)
        _say(axes, f"{number(low)} … {number(high)}", high, row, contender)
    if field:
        axes.set_xscale("log")
        axes.margins(x=0.25)


def _say(axes: Axes, text: str, right: float, row: int, contender: Contender) -> None:
    axes.annotate(
        text,
        (right, row),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        weight="bold" if contender in ALDIS else "normal",
    )
