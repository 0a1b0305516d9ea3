"""Draws the run on one page: sends compared with blinker, growth, and a Flask request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from benchmarks.contenders import (
    ALDIS,
    BASELINE,
    BLINKER,
    HAND_PAIRS,
    PEERS,
    Contender,
)
from benchmarks.goals import SIZES
from benchmarks.samples import Samples
from benchmarks.tables import number

_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_INK: Final = "#22303c"
_FAINT: Final = "#d9dee3"
_PEER: Final = "#7c93a8"
_BASE: Final = "#46586a"
_COMPILED, _PYTHON = ALDIS
_COLOURS: Final = {
    _COMPILED.key: "#f2a20c",  # the colour of a lamp's light
    _PYTHON.key: "#f7cd7c",
    HAND_PAIRS.key: "#b9c2ca",
    BASELINE: _BASE,
}
_STYLE: Any = {
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelcolor": _INK,
    "svg.hashsalt": "aldis",  # equal runs give equal files
}


def draw(samples: Samples, about: Mapping[str, str], out: Path) -> str:
    """Draw ``samples`` into results.svg and results.png, and return the name of the first."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 8.2))
        grid = figure.add_gridspec(
            2,
            12,
            height_ratios=(1.3, 1),
            hspace=0.3,
            wspace=0.9,
            left=0.165,
            right=0.97,
            top=0.85,
            bottom=0.085,
        )
        figure.text(0.02, 0.955, "Sending signals, side by side", size=16, weight="bold")
        figure.text(
            0.02, 0.922,
            "How many times as fast as blinker, by number of receivers: longer is faster, and the "
            "scale is logarithmic. Whiskers span the middle half of the rounds.",
        )  # fmt: skip
        field = [
            contender
            for contender in (*ALDIS, HAND_PAIRS, BLINKER, *PEERS)
            if any(_ratio(samples, contender, size) for size in SIZES)
        ]
        first = None
        for column, size in enumerate(SIZES):
            axes = figure.add_subplot(grid[0, 3 * column : 3 * column + 3], sharex=first)
            first = first or axes
            _bars(axes, samples, field, size, labelled=column == 0)
        _growth(figure.add_subplot(grid[1, :5]), samples)
        _requests(figure.add_subplot(grid[1, 7:]), samples)
        machine = f"{about['processor']}, {about['cores']} cores"
        place = " · ".join((machine, about["Python"], about["date"]))
        figure.text(0.02, 0.015, place, size=7.5, color=_PEER)
        figure.savefig(out / "results.svg", metadata={"Date": None})
        figure.savefig(out / "results.png", dpi=160, metadata={"Software": None})
    return "results.svg"


def _ratio(samples: Samples, contender: Contender, size: int) -> Any:
    return samples.ratio(f"send/functions/{size}/ns", BASELINE, contender.key)


def _bars(
    axes: Axes, samples: Samples, field: list[Contender], size: int, *, labelled: bool
) -> None:
    title = {1: "1 receiver"}.get(size, f"{size} receivers")
    axes.set_title(title)
    axes.set_xscale("log")
    axes.axvline(1, color=_BASE, linewidth=1)
    for row, contender in enumerate(field):
        spread = _ratio(samples, contender, size)
        if spread is None:
            continue
        colour = _COLOURS.get(contender.key, _PEER)
        axes.barh(row, spread.middle - 1, left=1, height=0.68, color=colour)
        axes.hlines(row, spread.low, spread.high, color=_INK, linewidth=1)
        right = spread.middle >= 1
        axes.annotate(
            f"{number(spread.middle)}{_TIMES}" if contender is not BLINKER else "1",
            (max(spread.high, 1) if right else min(spread.low, 1), row),
            xytext=(4 if right else -4, 0),
            textcoords="offset points",
            va="center",
            ha="left" if right else "right",
            size=8,
            weight="bold" if contender in ALDIS else "normal",
        )
    axes.set_yticks(range(len(field)), [c.title if labelled else "" for c in field])
    axes.set_ylim(len(field) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _plain_ticks(axes, (0.1, 1, 10))
    axes.set_xlim(0.018, 110)


def _plain_ticks(axes: Axes, ticks: tuple[float, ...]) -> None:
    axes.set_xticks(ticks, [f"{tick:g}{_TIMES}" for tick in ticks], size=7.5)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def _growth(axes: Axes, samples: Samples) -> None:
    axes.set_title("connect + disconnect, a receiver each")
    for contender in (BLINKER, _PYTHON, _COMPILED):
        points = sorted(
            (int(series.split("/")[2]), value.middle / 1000)
            for series in samples.series
            if series.startswith("connect/own/") and series.endswith("/both")
            if (value := samples.value(series, contender.key)) is not None
        )
        if not points:
            continue
        axes.plot(
            *zip(*points, strict=True),
            marker="o",
            markersize=4,
            color=_COLOURS[contender.key],
            label=contender.title,
        )
    axes.set_xscale("log")
    axes.set_xlabel("senders connected")
    axes.set_ylabel("µs for a sender")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.15)
    axes.set_ylim(bottom=0)
    axes.grid(color=_FAINT, linewidth=0.6)
    if axes.lines:
        axes.legend(frameon=False, fontsize=8)
    else:
        _absent(axes)


def _requests(axes: Axes, samples: Samples) -> None:
    axes.set_title("a Flask request on aldis, time of blinker's")
    axes.axvline(1, color=_BASE, linewidth=1)
    labels: list[str] = []
    for view in ("plain", "page", "failing"):
        for size in (0, 5):
            row = len(labels)
            labels.append(f"{view}, {size} receivers\non each signal" if size else f"{view}, none")
            for offset, engine in ((-0.14, _COMPILED), (0.14, _PYTHON)):
                spread = samples.ratio(f"flask/{view}/{size}/ns", engine.key, BASELINE)
                if spread is not None:
                    colour = _COLOURS[engine.key]
                    axes.hlines(row + offset, spread.low, spread.high, color=colour, linewidth=2)
                    axes.plot(spread.middle, row + offset, "o", color=colour, markersize=6)
                    text, at = f"{spread.middle:.2f}", (spread.high, row + offset)
                    axes.annotate(
                        text, at, xytext=(5, 0), textcoords="offset points", va="center", size=7.5
                    )
    axes.set_yticks(range(len(labels)), labels, size=8)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=_FAINT, linewidth=0.6)
    axes.set_xlabel("left of the line: aldis is faster")
    axes.margins(x=0.15)
    if len(axes.lines) == 1:
        _absent(axes)


def _absent(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=_PEER)
