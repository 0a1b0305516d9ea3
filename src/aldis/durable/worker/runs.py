"""Jobs, and the runs of those that have the same ordering key.

A worker claims several deliveries of a key at a time and runs them one after the other. A delivery
begins only after the one before it has succeeded. If one fails, the worker releases the later ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aldis.core.process import ForkSafeLock
from aldis.durable.receiver import Durable
from aldis.durable.types import ClaimedDelivery

__all__ = ["Job", "Run", "Runs"]


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery and its receiver.

    Attributes:
        claimed: The delivery.
        receiver: The receiver.
        expected: The expected duration in seconds. ``None`` means long or unknown.
        is_trial: Whether it tries a receiver that the workers have paused.
        run: The run to which the delivery belongs, if it has an ordering key.
    """

    claimed: ClaimedDelivery
    receiver: Durable[..., Any]
    expected: float | None = None
    is_trial: bool = False
    run: Run | None = None


class Run:
    """The jobs of one receiver and one ordering key. Any thread may call its methods."""

    def __init__(self) -> None:
        self._changing = ForkSafeLock()
        self._jobs: deque[Job] = deque()
        self._is_active = False
        self._is_closed = False

    def add(self, jobs: Sequence[Job]) -> Job | None:
        """Add jobs.

        Returns:
            The job that an executor must start. ``None`` if an earlier job runs: the first of
            ``jobs`` starts when that one has succeeded. If it fails, :meth:`close` returns them.
        """
        with self._changing.lock:
            self._jobs.extend(jobs)
            if self._is_active or self._is_closed:
                return None
            self._is_active = True
            return self._jobs.popleft()

    def end(self, *, success: bool) -> Job | None:
        """Return the job that follows the one that has ended, if that one has succeeded."""
        with self._changing.lock:
            if not success:
                self._is_closed = True
            if self._jobs and not self._is_closed:
                return self._jobs.popleft()
            self._is_active = False
            return None

    def close(self) -> list[Job]:
        """Let no further job start; return those that have not started."""
        with self._changing.lock:
            self._is_closed = True
            left = list(self._jobs)
            self._jobs.clear()
            return left

    @property
    def is_idle(self) -> bool:
        """Whether no job runs and none can start."""
        return not self._is_active


class Runs:
    """The runs of a worker, by receiver and key. They belong to the thread of the worker's loop."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], Run] = {}

    def of(self, receiver: str, key: str) -> Run:
        """Return the run of a key, or begin one."""
        return self._runs.setdefault((receiver, key), Run())

    def forget(self, receiver: str, key: str, run: Run) -> None:
        """Forget a run that has ended."""
        if self._runs.get((receiver, key)) is run:
            del self._runs[receiver, key]
