"""The report of the runs, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .results import STATUSES, Comparison, NotRun, Result

COUNTS = "passed/failed/skipped"


def render(
    comparisons: Sequence[Comparison],
    unknown: Sequence[NotRun],
) -> str:
    """Return the table and, below it, every test that differs.

    Args:
        comparisons: The suites that ran on both engines.
        unknown: The suites that could not be run.
    """
    head = ("project", "version", "on blinker", "on aldis", "difference")
    under = ("", "", COUNTS, COUNTS, "")
    rows = [head, under, *map(_row, comparisons)]
    rows += [(each.suite.project, each.suite.version, "-", "-", "NOT RUN") for each in unknown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    details = [line for comparison in comparisons for line in _details(comparison)]
    details += [f"{each.suite.project}: NOT RUN: {each.reason}" for each in unknown]
    return "\n".join([*lines, *(["", *details] if details else [])])


def as_json(comparisons: Iterable[Comparison], unknown: Iterable[NotRun]) -> dict[str, Any]:
    """Return all results in a form that `json.dumps` accepts."""
    suites = [_comparison_as_json(comparison) for comparison in comparisons]
    suites += [
        {
            "project": each.suite.project,
            "version": each.suite.version,
            "not_run": each.reason,
        }
        for each in unknown
    ]
    return {"suites": suites}


def counts(result: Result) -> str:
    """Return the three numbers of a result."""
    return "/".join(str(result.count(status)) for status in ("passed", "failed", "skipped"))


def difference(comparison: Comparison) -> str:
    """Return a short summary of the differences."""
    parts = []
    if comparison.failures:
        parts.append(f"{len(comparison.failures)} FAILED")
    if comparison.documented:
        parts.append(f"{len(comparison.documented)} documented")
    if comparison.fixed:
        parts.append(f"{len(comparison.fixed)} fixed")
    return ", ".join(parts) or "none"


def _row(comparison: Comparison) -> tuple[str, ...]:
    return (
        comparison.suite.project,
        comparison.suite.version,
        counts(comparison.blinker),
        counts(comparison.aldis),
        difference(comparison),
    )


def _details(comparison: Comparison) -> Iterator[str]:
    project = comparison.suite.project
    for name in comparison.failures:
        before = comparison.blinker.tests.get(name, "absent")
        after = comparison.aldis.tests.get(name, "absent")
        yield f"{project}: FAILED: {name} ({before} on blinker, {after} on aldis)"
    if comparison.failures:
        yield f"{project}: the output is in {comparison.aldis.log}"
    for name in comparison.fixed:
        yield f"{project}: fixed: {name} fails on blinker only"
    for name, reason in comparison.documented.items():
        yield f"{project}: documented: {name} {reason}"
    for name in comparison.outdated:
        yield f"{project}: {name} is documented as a difference and is none any more"


def _comparison_as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "project": comparison.suite.project,
        "version": comparison.suite.version,
        "blinker": _result_as_json(comparison.blinker),
        "aldis": _result_as_json(comparison.aldis),
        "failures": list(comparison.failures),
        "fixed": list(comparison.fixed),
        "documented": dict(comparison.documented),
        "outdated": list(comparison.outdated),
    }


def _result_as_json(result: Result) -> dict[str, Any]:
    return {
        **{status: result.count(status) for status in STATUSES},
        "seconds": round(result.seconds, 1),
        "processes": result.processes,
        "compiled": result.compiled,
    }
