"""What a run showed, and what two runs of one suite show side by side."""

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
        suite: What was run.
        blinker: The run on plain blinker.
        aldis: The run on aldis.
        documented: The tests that fail on aldis only and may, each with the reason.
        failures: The tests that fail on aldis only, or no longer run there.
        mended: The tests that fail on blinker only.
        outdated: The documented differences that did not show.
    """

    suite: Suite
    blinker: Result
    aldis: Result
    documented: Mapping[str, str]
    failures: tuple[str, ...]
    mended: tuple[str, ...]
    outdated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotRun:
    """A suite that could not be prepared or run, and why."""

    suite: Suite
    reason: str


def read_junit(path: Path) -> dict[str, Status]:
    """Read how each test ended; one that is listed twice ended as the worse of the two.

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
    """Put two runs of a suite side by side."""
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
        mended=tuple(
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
