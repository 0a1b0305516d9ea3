"""The command line: ``python -m benchmarks.durable``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from benchmarks.durable.contenders import ALL, CASES, Contender
from benchmarks.durable.effort import FULL, QUICK, Effort
from benchmarks.durable.report import Report
from benchmarks.durable.schedule import Schedule
from benchmarks.samples import Samples

_DATA: Final = "DURABLE.json"
_REPORT: Final = "DURABLE.md"
_INTERRUPTED: Final = 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    systems = sorted({contender.system for contender in ALL})
    names = {contender.key for contender in ALL} | set(systems)
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.durable",
        description="Measure aldis's durable receivers and their peers side by side, and write "
        f"{_REPORT}, {_DATA} and a plot.",
        epilog="A full run takes some 25 minutes. Close what else keeps the machine busy.",
    )
    arguments.add_argument(
        "--only",
        type=_choice(names),
        metavar="NAME[,NAME…]",
        help=f"measure only these, of {', '.join(systems)}, or of the keys in {_DATA}",
    )
    arguments.add_argument(
        "--cases",
        type=_choice(set(CASES)),
        default=list(CASES),
        metavar="CASE[,CASE…]",
        help=f"measure only these, of {', '.join(CASES)}",
    )
    arguments.add_argument("--rounds", type=int, metavar="N", help="how many rounds to measure")
    arguments.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parents[1],
        metavar="DIR",
        help="where to write (default: the folder of the benchmarks)",
    )
    arguments.add_argument(
        "--quick",
        action="store_true",
        help="a smoke test of two minutes, whose figures mean nothing",
    )
    arguments.add_argument(
        "--redraw",
        action="store_true",
        help=f"measure nothing: write report and plot anew from DIR/{_DATA}",
    )
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    options = parser().parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    data = options.out / _DATA
    if options.redraw:
        run = json.loads(data.read_text(encoding="utf-8"))
    else:
        effort = QUICK if options.quick else FULL
        if options.rounds is not None:
            effort = replace(effort, rounds=options.rounds)
        # At any end, the processes are ended and the databases are dropped.
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            run = measure(effort, _chosen(options.only), options.cases)
        except KeyboardInterrupt:
            log("interrupted; nothing is written")
            return _INTERRUPTED
        data.write_text(json.dumps(run, separators=(",", ":")) + "\n", encoding="utf-8")
    write(run, options.out)
    log(f"written: {options.out / _REPORT}")
    return 0


def measure(
    effort: Effort, contenders: Sequence[Contender], cases: Sequence[str]
) -> dict[str, Any]:
    """Measure ``contenders`` and return the data for the report."""
    about = machine.describe()
    schedule = Schedule(effort, log)
    schedule.run(contenders, cases)
    return {
        "about": {**about, **schedule.services},
        "effort": asdict(effort),
        "samples": asdict(schedule.samples),
    }


def write(run: dict[str, Any], out: Path) -> None:
    """Write the report and, if matplotlib is installed, the plot."""
    run = json.loads(json.dumps(run))  # so that the data is the same from memory and from a file
    samples = Samples.load(run["samples"])
    figure = None
    try:
        from benchmarks.durable import plot  # noqa: PLC0415 - matplotlib may be missing
    except ModuleNotFoundError as error:
        samples.skipped["the plot"] = str(error)
    else:
        figure = plot.draw(samples, run["about"], out)
    report = Report(samples, run["about"], Effort(**run["effort"]), figure)
    (out / _REPORT).write_text(report.text(), encoding="utf-8")


def log(line: str) -> None:
    """Print a line about the progress."""
    print(line, file=sys.stderr, flush=True)


def _chosen(only: Sequence[str] | None) -> list[Contender]:
    return [each for each in ALL if only is None or {each.key, each.system} & set(only)]


def _choice(known: set[str]) -> Callable[[str], list[str]]:
    def choose(text: str) -> list[str]:
        names = text.split(",")
        unknown = sorted(set(names) - known)
        if unknown:
            message = f"{', '.join(unknown)}: choose from {', '.join(sorted(known))}"
            raise argparse.ArgumentTypeError(message)
        return names

    return choose


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
