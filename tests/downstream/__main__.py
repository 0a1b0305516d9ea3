"""The command: ``python -m tests.downstream``."""

from __future__ import annotations

import argparse
import fcntl
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from .prepare import CACHE, is_prepared, prepare
from .process import DownstreamError
from .report import as_json, counts, render
from .results import ENGINES, Comparison, Engine, NotRun, Result, compare
from .run import run_suite
from .suites import SUITES, Suite, UnknownSuiteError, choose

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and return the exit status.

    Returns:
        0 if nothing fails on aldis that does not fail on blinker, but for documented differences;
        1 if something does, or a suite could not be run; 2 if the command line makes no sense; 130
        if interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        chosen = choose(options.suites, every=options.all)
    except UnknownSuiteError as error:
        parser.error(str(error))
    if options.list:
        _show(_listing())
        return 0
    signal.signal(signal.SIGTERM, _stop)
    try:
        with _alone():
            comparisons, unknown = _run_all(chosen, fresh=options.fresh)
    except DownstreamError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    _show(render(comparisons, unknown))
    if options.json:
        report = json.dumps(as_json(comparisons, unknown), indent=2)
        options.json.write_text(f"{report}\n", encoding="utf-8")
    return int(bool(unknown) or any(comparison.failures for comparison in comparisons))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.downstream",
        description=(
            "Run other projects' test suites, from their source distributions, on plain blinker "
            "and on aldis, and compare. Without a name the core suites are run. What is downloaded "
            "and installed is kept in .downstream, the output of each step in .downstream/logs."
        ),
        epilog=(
            "The exit status is 0 if nothing fails on aldis that passes on blinker, apart from the "
            "differences documented in suites.py, and 1 otherwise. ALDIS_NO_EXTENSIONS=1 runs on "
            "the Python twin."
        ),
    )
    parser.add_argument("suites", nargs="*", metavar="NAME", help="a suite to run, see --list")
    parser.add_argument("--all", action="store_true", help="run every suite")
    parser.add_argument("--list", action="store_true", help="list the suites and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings to FILE too")
    parser.add_argument("--fresh", action="store_true", help="download and install again")
    return parser


def _run_all(chosen: Sequence[Suite], *, fresh: bool) -> tuple[list[Comparison], list[NotRun]]:
    """Run suite after suite; one that cannot be run does not keep the next from running."""
    comparisons: list[Comparison] = []
    unknown: list[NotRun] = []
    for suite in chosen:
        try:
            comparisons.append(_run_both(suite, fresh=fresh))
        except DownstreamError as error:
            _say(f"{suite.project} {suite.version}: {error}")
            unknown.append(NotRun(suite, str(error)))
    return comparisons, unknown


def _run_both(suite: Suite, *, fresh: bool) -> Comparison:
    if fresh or not is_prepared(suite):
        _say(f"{suite.project} {suite.version}: installing")
    prepare(suite, fresh=fresh)
    results = {engine: _run_one(suite, engine) for engine in ENGINES}
    return compare(suite, **results)


def _run_one(suite: Suite, engine: Engine) -> Result:
    _say(f"{suite.project} {suite.version}: running on {engine}")
    result = run_suite(suite, engine)
    twin = {True: ", compiled twin", False: ", Python twin", None: ""}[result.compiled]
    _say(
        f"{suite.project} {suite.version}: {counts(result)} on {engine}{twin}, "
        f"{result.processes} processes, {result.seconds:.0f} s"
    )
    return result


def _listing() -> str:
    width = max(len(suite.project) for suite in SUITES)
    return "\n".join(
        f"{suite.project:{width}}  {suite.version}{'  (core)' * suite.core}" for suite in SUITES
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Hold `.downstream` for this run.

    Raises:
        DownstreamError: Another run holds it.
    """
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownstreamError(f"another run is using {CACHE}") from None
        yield


def _stop(*_: object) -> NoReturn:
    """End as on Ctrl-C, so that no suite goes on running by itself."""
    raise KeyboardInterrupt


def _say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _show(text: str) -> None:
    """Print what was asked for."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
