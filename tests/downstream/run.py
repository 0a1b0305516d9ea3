"""Running a suite's tests on one engine, with proof of which engine it was."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import hook
from .prepare import copy_package, home, new_log, python, unpack
from .process import DownstreamError, execute
from .results import Engine, Result, read_junit
from .suites import Suite

#: pytest's exit codes if the tests ran: all passed, or some failed.
RAN = (0, 1)
#: The variables of aldis that the tests may see.
PASSED_ON = ("PATH", "ALDIS_NO_EXTENSIONS")


def run_suite(suite: Suite, engine: Engine) -> Result:
    """Run the tests of a prepared suite, in a fresh copy of its source.

    Raises:
        DownstreamError: The tests did not end, or ran on another engine.
    """
    directory = home(suite) / engine
    source = unpack(suite, directory)
    log = new_log(f"{suite.project}-{engine}")
    junit, record = directory / "junit.xml", directory / "record"
    began = time.monotonic()
    with TemporaryDirectory(prefix="aldis-") as temporary:
        ended = execute(
            [python(suite), "-m", "pytest", f"--junitxml={junit}", *suite.arguments],
            directory=source,
            environment={**_environment(suite, engine, directory), "TMPDIR": temporary},
            log=log,
            timeout=suite.timeout,
        )
    if ended.status not in RAN or not junit.is_file():
        raise DownstreamError(f"pytest ended with {ended.status} on {engine}, see {log}")
    lines = read_record(record)
    try:
        compiled = check_record(lines, ended.pid, engine)
    except DownstreamError as error:
        raise DownstreamError(f"{error}, see {log} and {record}") from None
    return Result(
        tests=read_junit(junit),
        seconds=time.monotonic() - began,
        log=log,
        processes=len(lines),
        compiled=compiled,
    )


def read_record(path: Path) -> list[dict[str, Any]]:
    """Read the lines that the processes of a run wrote at their end."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_record(lines: Iterable[dict[str, Any]], pid: int, engine: Engine) -> bool | None:
    """Check that all processes of a run used the right engine.

    Args:
        lines: The records of the processes.
        pid: The process that ran pytest; it must be among them.
        engine: The expected implementation of ``blinker``.

    Returns:
        Whether aldis's C engine ran; None if pytest's process did not import aldis.

    Raises:
        DownstreamError: A process used another engine, or its record is missing.
    """
    used = {line["pid"]: line for line in lines}
    if pid not in used:
        raise DownstreamError(f"nothing shows that the run on {engine} used {engine}")
    if used[pid]["engine"] == "none":
        raise DownstreamError("the tests never imported blinker, so they say nothing")
    for line in used.values():
        if line["slipped"]:
            raise DownstreamError(f"blinker itself was imported: {', '.join(line['slipped'])}")
        if line["engine"] not in (engine, "none"):
            raise DownstreamError(f"a process of the run on {engine} used {line['engine']}")
    compiled: bool | None = used[pid]["compiled"]
    return compiled


def _environment(suite: Suite, engine: Engine, directory: Path) -> dict[str, str]:
    """Return the environment of the tests: always the same, without the caller's settings."""
    (directory / "home").mkdir()
    copy_package(directory / "package")
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "HOME": str(directory / "home"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        hook.ENGINE: engine,
        hook.PACKAGE: str(directory / "package"),
        hook.RECORD: str(directory / "record"),
        **suite.environment,
    }
