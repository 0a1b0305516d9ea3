"""When a delivery that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from random import uniform

from aldis.errors import check_seconds

__all__ = ["Retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a delivery is tried, and how long it waits in between.

    The wait before attempt ``n + 1`` is random between 0 and ``first_delay * factor ** (n - 1)``,
    at most ``max_delay``: exponential backoff with full jitter, so that what failed together does
    not come back together. (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
    2015.)

    Args:
        attempts: How often in all. After the last the delivery is a dead letter.
        first_delay: The longest wait before the second attempt, in seconds.
        max_delay: The longest wait before any, in seconds.
        factor: By how much the longest wait grows.

    Raises:
        ValueError: A number is out of its range.
    """

    attempts: int = 8
    first_delay: float = 2.0
    max_delay: float = 3600.0
    factor: float = 2.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            message = f"a delivery is tried once at least: attempts={self.attempts!r}"
            raise ValueError(message)
        check_seconds(self.first_delay)
        check_seconds(self.max_delay)
        if not self.factor >= 1:
            message = f"the wait must not shrink: factor={self.factor!r}"
            raise ValueError(message)

    def longest_delay(self, attempt: int) -> float:
        """Return the longest wait, in seconds, after ``attempt`` (the first is 1) has failed."""
        try:
            return min(self.max_delay, self.first_delay * self.factor ** (attempt - 1))
        except OverflowError:
            return self.max_delay

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after ``attempt`` has failed: another number each time."""
        return uniform(0.0, self.longest_delay(attempt))  # noqa: S311 - it spreads load
