"""Run a program with a time limit and its output in a file, and leave no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


class DownstreamError(Exception):
    """A suite could not be prepared or run, so it has no result."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ended: its process id and its exit status."""

    pid: int
    status: int


def execute(
    command: Sequence[str | Path],
    *,
    directory: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout: float,
) -> Ended:
    """Run a command and wait for it; append its output to `log`.

    The command gets a separate process group, which is killed after the time limit or when
    waiting for it is interrupted.

    Raises:
        DownstreamError: It took longer than `timeout` seconds.
    """
    words = [str(word) for word in command]
    with log.open("a", encoding="utf-8") as output:
        output.write(f"$ {' '.join(words)}\n")
        output.flush()
        process = subprocess.Popen(
            words,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise DownstreamError(f"stopped after {timeout:g} s, see {log}") from None
            raise
    return Ended(process.pid, status)
