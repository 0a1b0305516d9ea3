"""Counts and times the runs of a worker, with the same few instructions for each system."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class Tally:
    """The receiver of all systems.

    Args:
        path: The file. The process that counts opens it; it may be a child.
        step: The number of runs between two lines.
    """

    def __init__(self, path: str, step: int) -> None:
        self._path = path
        self._step = step
        self._numbers = itertools.count()  # its next() is atomic: some systems run in threads
        self._file: int | None = None

    def receive(self, order_id: int) -> None:
        """Count an order."""
        number = next(self._numbers)
        if number % self._step == 0:
            self._write(f"{number} {time.monotonic_ns()} {order_id}\n")

    def _write(self, line: str) -> None:
        if self._file is None:
            self._file = os.open(self._path, _FLAGS, 0o600)
        os.write(self._file, line.encode())


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of a tally.

    Attributes:
        number: The number of earlier runs.
        at_ns: The time of the run, in nanoseconds of the clock that all processes share.
        order_id: Its order.
    """

    number: int
    at_ns: int
    order_id: int


def read(path: Path) -> list[Mark]:
    """Return the lines that a tally has written so far."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="ascii").rpartition("\n")
    return [Mark(*map(int, line.split())) for line in whole.splitlines()]
