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
    """Run the suites that the command line names and return the exit status.

    Returns:
        0 if every test that passes on blinker passes on aldis, apart from documented differences; 1
        if one does not, or a suite could not run; 2 if the command line is wrong; 130 if the user
        interrupted the run.
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
            "and on aldis, and compare. Without a name the core suites run. .downstream keeps the "
            "downloads and environments; .downstream/logs has the output of each step."
        ),
        epilog=(
            "The exit status is 0 if every test that passes on blinker passes on aldis, apart from "
            "the differences documented in suites.py, and 1 otherwise. ALDIS_NO_EXTENSIONS=1 runs "
            "on the Python engine."
        ),
    )
    parser.add_argument("suites", nargs="*", metavar="NAME", help="a suite to run, see --list")
    parser.add_argument("--all", action="store_true", help="run every suite")
    parser.add_argument("--list", action="store_true", help="list the suites and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings to FILE too")
    parser.add_argument("--fresh", action="store_true", help="download and install again")
    return parser


def _run_all(chosen: Sequence[Suite], *, fresh: bool) -> tuple[list[Comparison], list[NotRun]]:
    """Run each suite; a suite that cannot run does not stop the others."""
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
    variant = {True: ", C engine", False: ", Python engine", None: ""}[result.compiled]
    _say(
        f"{suite.project} {suite.version}: {counts(result)} on {engine}{variant}, "
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
    """Lock `.downstream` for this run.

    Raises:
        DownstreamError: Another run has locked it.
    """
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownstreamError(f"another run is using {CACHE}") from None
        yield


def _stop(*_: object) -> NoReturn:
    """End as on Ctrl-C, so that no suite continues alone."""
    raise KeyboardInterrupt


def _say(line: str) -> None:
    """Print a line about the progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _show(text: str) -> None:
    """Print the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
