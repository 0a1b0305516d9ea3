"""The command line: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import callgrind, machine
from benchmarks.cases import FULL, GROUPS, QUICK, Effort, plan
from benchmarks.readme import write_figures
from benchmarks.report import Report
from benchmarks.samples import Samples
from benchmarks.schedule import Schedule


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure aldis and its peers side by side, and write RESULTS.md, results.json, "
        "a plot, and the figures in the README of the project.",
        epilog="A full run takes about six minutes. Close other busy programs.",
    )
    arguments.add_argument(
        "--only",
        type=_groups,
        default=list(GROUPS),
        metavar="GROUP[,GROUP…]",
        help=f"measure only these of: {', '.join(GROUPS)}",
    )
    arguments.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent,
        metavar="DIR",
        help="the folder for the output (default: the folder of the benchmarks)",
    )
    arguments.add_argument(
        "--quick",
        action="store_true",
        help="a smoke test of a few seconds, with meaningless figures",
    )
    arguments.add_argument(
        "--callgrind",
        action="store_true",
        help="also count the instructions of a Flask request with valgrind (some minutes more)",
    )
    arguments.add_argument(
        "--redraw",
        action="store_true",
        help="measure nothing, but write the report and the plot again from DIR/results.json",
    )
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return the exit code."""
    options = parser().parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    data = options.out / "results.json"
    if options.redraw:
        run = json.loads(data.read_text(encoding="utf-8"))
    else:
        run = measure(
            QUICK if options.quick else FULL, options.only, callgrinding=options.callgrind
        )
        data.write_text(json.dumps(run, separators=(",", ":")) + "\n", encoding="utf-8")
    write(run, options.out)
    log(f"written: {options.out / 'RESULTS.md'}")
    return 0


def measure(effort: Effort, groups: Sequence[str], *, callgrinding: bool) -> dict[str, Any]:
    """Measure ``groups`` and return all data of the report."""
    about = machine.describe()
    samples = Schedule(effort, log).run(plan(groups, effort))
    if callgrinding and "flask" in groups:
        callgrind.count(samples, log)
    return {
        "about": about,
        "effort": asdict(effort),
        "groups": list(groups),
        "samples": asdict(samples),
    }


def write(run: dict[str, Any], out: Path) -> None:
    """Write the report, and the plot if matplotlib is installed."""
    run = json.loads(json.dumps(run))  # so that data from memory and from a file are equal
    samples = Samples.load(run["samples"])
    figure = None
    try:
        from benchmarks import plot  # noqa: PLC0415 - matplotlib may be missing
    except ModuleNotFoundError as error:
        samples.skipped["the plot"] = str(error)
    else:
        figure = plot.draw(samples, run["about"], out)
    if out == Path(__file__).parent:
        write_figures(samples)
    report = Report(samples, run["about"], Effort(**run["effort"]), run["groups"], figure)
    (out / "RESULTS.md").write_text(report.text(), encoding="utf-8")


def log(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


def _groups(text: str) -> list[str]:
    groups = text.split(",")
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        message = f"{', '.join(unknown)}: choose from {', '.join(GROUPS)}"
        raise argparse.ArgumentTypeError(message)
    return groups
