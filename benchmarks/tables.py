"""Formats figures and Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.samples import Spread

NONE = "\N{EN DASH}"


def number(value: float) -> str:
    """Return ``value`` with three significant digits and separators of thousands."""
    if value == 0:
        return "0"
    for bound, digits in ((10, 2), (100, 1)):
        if abs(value) < bound:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def ratio(spread: Spread | None) -> str:
    """Return the median, and the middle half of the rounds in parentheses."""
    if spread is None:
        return NONE
    if spread.low == spread.high:
        return number(spread.middle)
    middle, low, high = (number(value) for value in (spread.middle, spread.low, spread.high))
    return f"{middle} ({low}\N{EN DASH}{high})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table. The first column has text, the others have figures."""
    align = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, align, *rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]
