"""The result of a run, and the comparison of two runs of one suite."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from .suites import Suite

Status: TypeAlias = Literal["passed", "skipped", "failed"]
"""How a test ended, from the best to the worst; an error counts as a failure."""
Engine: TypeAlias = Literal["blinker", "aldis"]

STATUSES: tuple[Status, ...] = get_args(Status)
ENGINES: tuple[Engine, ...] = get_args(Engine)


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one suite on one engine.

    Attributes:
        tests: How each test ended, by its full name.
        seconds: How long the run took.
        log: Where its output is.
        processes: How many processes recorded which engine they used.
        compiled: Whether aldis's C engine ran; None for blinker.
    """

    tests: Mapping[str, Status]
    seconds: float
    log: Path
    processes: int
    compiled: bool | None = None

    def count(self, status: Status) -> int:
        """Return how many tests ended that way."""
        return sum(each == status for each in self.tests.values())


@dataclass(frozen=True, slots=True)
class Comparison:
    """A suite on both engines, and where aldis differs.

    Attributes:
        suite: The suite that ran.
        blinker: The run on plain blinker.
        aldis: The run on aldis.
        documented: The tests that may fail on aldis only, each with the reason.
        failures: The tests that fail on aldis only, or no longer run there.
        fixed: The tests that fail on blinker only.
        outdated: The documented differences that did not occur.
    """

    suite: Suite
    blinker: Result
    aldis: Result
    documented: Mapping[str, str]
    failures: tuple[str, ...]
    fixed: tuple[str, ...]
    outdated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotRun:
    """A suite that could not be prepared or run, and the reason."""

    suite: Suite
    reason: str


def read_junit(path: Path) -> dict[str, Status]:
    """Read the result of each test. For a test that is listed twice, the worse result counts.

    Args:
        path: A file in JUnit's XML, as pytest writes it.
    """
    tests: dict[str, Status] = {}
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - written by the pytest we started
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        tests[name] = max(tests.get(name, "passed"), _status(case), key=STATUSES.index)
    return tests


def _status(case: ET.Element) -> Status:
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"


def compare(suite: Suite, blinker: Result, aldis: Result) -> Comparison:
    """Compare two runs of a suite."""
    worse = [name for name, status in blinker.tests.items() if _is_worse(name, status, aldis)]
    worse += [
        name
        for name, status in aldis.tests.items()
        if status == "failed" and name not in blinker.tests
    ]
    documented = {
        name: reason
        for name in worse
        for end, reason in suite.differences.items()
        if name.endswith(f"::{end}")
    }
    return Comparison(
        suite=suite,
        blinker=blinker,
        aldis=aldis,
        documented=documented,
        failures=tuple(name for name in worse if name not in documented),
        fixed=tuple(
            name
            for name, status in aldis.tests.items()
            if status == "passed" and blinker.tests.get(name) == "failed"
        ),
        outdated=tuple(
            end
            for end in suite.differences
            if not any(name.endswith(f"::{end}") for name in documented)
        ),
    )


def _is_worse(name: str, on_blinker: Status, aldis: Result) -> bool:
    on_aldis = aldis.tests.get(name)
    return on_aldis is None or STATUSES.index(on_aldis) > STATUSES.index(on_blinker)
