"""Starts a worker process, sends requests to it and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders import Contender

ROOT: Final = Path(__file__).resolve().parents[1]
_OURS: Final = ("ALDIS_NO_EXTENSIONS", "ALDIS_STRICT", "PYTHONHASHSEED")


class WorkerError(Exception):
    """A worker ended, or did not answer in time."""


def environment(contender: Contender) -> dict[str, str]:
    """Return the environment of a contender's process, without variables that choose an engine."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    return {**inherited, **contender.environment}


class WorkerProcess:
    """A contender in a separate process.

    Args:
        contender: The contender to start.
        limit_s: The time to wait for an answer, in seconds.
    """

    def __init__(self, contender: Contender, limit_s: float) -> None:
        self.contender = contender
        self._limit_s = limit_s
        self._unread = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", contender.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment(contender),
            bufsize=0,
        )

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises:
            WorkerError: The worker ended or did not answer in time.
        """
        self.send(do, **details)
        return self.receive()

    def send(self, do: str, **details: Any) -> None:
        """Send a request without waiting for the answer."""
        line = json.dumps({"do": do, **details}) + "\n"
        stdin = self._process.stdin
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # its last output can be read
                stdin.write(line.encode())

    def receive(self) -> dict[str, Any]:
        """Wait for the next answer.

        Raises:
            WorkerError: The worker ended or did not answer in time.
        """
        stdout = self._process.stdout
        if stdout is None:
            message = "the process has no output"
            raise WorkerError(message)
        deadline = time.monotonic() + self._limit_s
        while b"\n" not in self._unread:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                message = f"no answer within {self._limit_s:.0f} s"
                raise WorkerError(message)
            received = os.read(stdout.fileno(), 65536)
            if not received:
                message = "the process has ended"
                raise WorkerError(message)
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """End the process. Kill it if it does not end by itself."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
