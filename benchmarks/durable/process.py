"""The runner's side of its processes: start them, ask them, read their clocks, end them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.durable.contenders import Contender

ROOT: Final = Path(__file__).resolve().parents[2]
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class ProcessError(Exception):
    """A process died, or did not answer in time."""


class _Process:
    """A process in a separate group. In the end, the whole group is killed.

    Args:
        module: The module to run.
        contender: The system.
        log: The file for its output.
        more: Further arguments of its command line.
    """

    #: The standard output of the process, if the runner reads it.
    answers = False

    def __init__(self, module: str, contender: Contender, log: Path, **more: Any) -> None:
        specification = {
            "system": contender.system,
            "settings": dict(contender.settings),
            **more,
        }
        self.contender = contender
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, json.dumps(specification)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self.answers else errors,
                stderr=errors,
                cwd=ROOT,
                # Its temporary files are next to the log, so that they are removed with it.
                env={**os.environ, "TMPDIR": str(log.parent), **contender.environment},
                bufsize=0,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A kill is quick, and each system promises to survive it.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def last_words(self) -> str:
        """Return the last line that it printed."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip()[:200] if lines else "it said nothing"


class Producer(_Process):
    """The process that enqueues.

    Args:
        contender: The system.
        place: Its place.
        log: The file for its output.
        limit_s: The longest wait for an answer, in seconds.
    """

    answers = True

    def __init__(self, contender: Contender, place: str, log: Path, limit_s: float) -> None:
        super().__init__("benchmarks.durable.producer", contender, log, place=place)
        self._limit_s = limit_s
        self._unread = b""

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises:
            ProcessError: No answer came, or the answer is an error.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ProcessError("it has no pipes")
        with suppress(BrokenPipeError):  # it died
            stdin.write((json.dumps({"do": do, **details}) + "\n").encode())
        deadline = time.monotonic() + self._limit_s
        while b"\n" not in self._unread:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ProcessError(f"no answer to {do!r} within {self._limit_s:.0f} s")
            received = os.read(stdout.fileno(), 65536)
            if not received:
                raise ProcessError(f"it died of {do!r}: {self.last_words()}")
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ProcessError(f"{do}: {answer['error']}")
        return answer


class Worker(_Process):
    """The worker of the system.

    Args:
        contender: The system.
        place: Its place.
        log: The file for its output.
        tally: The file to which its receiver writes.
        step: The number of runs between two lines of the file.
    """

    def __init__(
        self, contender: Contender, place: str, log: Path, *, tally: Path, step: int
    ) -> None:
        super().__init__(
            "benchmarks.durable.worker", contender, log, place=place, tally=str(tally), step=step
        )
        self.tally = tally

    def alive(self) -> bool:
        """Return whether it runs."""
        return self._process.poll() is None

    def cpu_s(self) -> float:
        """Return the processor time of the worker and all its children, in seconds."""
        ticks = 0
        for each in Path("/proc").iterdir():
            if each.name.isdigit():
                with suppress(OSError):  # it has ended
                    stat = (each / "stat").read_text(encoding="ascii", errors="replace")
                    ticks += _ticks(stat, self._process.pid)
        return ticks / _TICKS_PER_S


def _ticks(stat: str, session: int) -> int:
    """Return user and system time from a line of ``/proc``; 0 for another session."""
    fields = stat.rpartition(")")[2].split()  # a program's name may contain anything
    return sum(map(int, fields[11:15])) if int(fields[3]) == session else 0
