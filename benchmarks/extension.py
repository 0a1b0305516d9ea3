"""Measures the time that ``Aldis(app)`` adds to a request: ``python -m benchmarks.extension``.

The contenders are Flask on blinker, Flask on aldis, and Flask on aldis with the extension. They are
measured in turns in one run of about a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import machine, tables
from benchmarks.cases import FULL, QUICK, Batch, Case
from benchmarks.contenders import FLASK, Contender
from benchmarks.samples import Samples
from benchmarks.schedule import Schedule

PLAIN: Final = FLASK[0]
ON_ALDIS: Final = FLASK[1:]
WITH: Final = tuple(
    Contender(
        f"{each.key}-extension",
        f"{each.title}, Aldis(app)",
        "flask_with_extension",
        each.engine,
        each.environment,
        each.compiled,
    )
    for each in ON_ALDIS
)

INTRODUCTION: Final = (
    "Medians, and quartiles of the ratios of single rounds, by `python -m benchmarks.extension`.",
    "A ratio says how many times as fast a request is. *plain* returns a text, *page* flashes and",
    "renders a template, *failing* raises; each with 0 or 5 receivers on each of Flask's ten core",
    "signals, by a direct WSGI call.",
)

CASES: Final = tuple(
    Case("flask", "loop", view, size) for view in ("plain", "page", "failing") for size in (0, 5)
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.extension", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="a smoke test of some seconds")
    arguments.add_argument("--out", type=Path, help="write the report to this file as well")
    options = arguments.parse_args(argv)
    effort = QUICK if options.quick else FULL
    about = machine.describe()
    samples = Schedule(effort, _log).run([Batch((PLAIN, *ON_ALDIS, *WITH), CASES)])
    text = report(samples, about)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 0 if any(samples.contenders(_series(case)) for case in CASES) else 1


def report(samples: Samples, about: dict[str, str]) -> str:
    """Return the report in Markdown."""
    engines = [
        engine for engine in zip(ON_ALDIS, WITH, strict=True) if _measured(samples, engine[1])
    ]
    lines = ["# What the extension costs a request", "", *INTRODUCTION, ""]
    lines += tables.table(("", ""), about.items())
    for without, with_it in engines:
        lines += [f"## {without.title}", ""]
        head = (
            "request, receivers",
            "on blinker, µs",
            "aldis, to blinker",
            "Aldis(app), to blinker",
            "Aldis(app), to aldis without",
        )
        rows = [_row(samples, case, without.key, with_it.key) for case in CASES]
        lines += tables.table(head, rows)
    if samples.cut_short:
        lines += ["The time limit ended the run before all planned rounds.", ""]
    lines += [f"- left out: {who}: {why}" for who, why in samples.skipped.items()]
    return "\n".join(lines).rstrip() + "\n"


def _row(samples: Samples, case: Case, without: str, with_it: str) -> tuple[str, ...]:
    series = _series(case)
    plain = samples.median_of(series, PLAIN.key)
    return (
        f"{case.what}, {case.size}",
        tables.NONE if plain is None else tables.number(plain / 1000),
        tables.ratio(samples.ratio(series, PLAIN.key, without)),
        tables.ratio(samples.ratio(series, PLAIN.key, with_it)),
        tables.ratio(samples.ratio(series, without, with_it)),
    )


def _series(case: Case) -> str:
    return f"{case.key}/ns"


def _measured(samples: Samples, contender: Contender) -> bool:
    return any(contender.key in samples.contenders(_series(case)) for case in CASES)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
