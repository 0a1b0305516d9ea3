"""When a failed delivery is retried."""

from __future__ import annotations

from dataclasses import dataclass
from random import uniform

from aldis.errors import check_seconds

__all__ = ["Retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a failed delivery is retried, and how long it waits between attempts.

    The wait before attempt ``n + 1`` is random, between 0 and ``first_delay * factor ** (n - 1)``
    seconds, but at most ``max_delay``. This is exponential backoff with full jitter: deliveries
    that failed together do not come back together. (Marc Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015.)

    Args:
        attempts: The number of attempts, including the first. After the last one, the delivery is a
            dead letter.
        first_delay: The longest wait before the second attempt, in seconds.
        max_delay: The longest wait before any attempt, in seconds.
        factor: The growth of the longest wait from attempt to attempt.

    Raises:
        ValueError: A number is out of range.
    """

    attempts: int = 8
    first_delay: float = 2.0
    max_delay: float = 3600.0
    factor: float = 2.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            message = f"attempts must be at least 1, not {self.attempts!r}"
            raise ValueError(message)
        check_seconds(self.first_delay)
        check_seconds(self.max_delay)
        if not self.factor >= 1:
            message = f"factor must be at least 1, so that the wait grows, not {self.factor!r}"
            raise ValueError(message)

    def longest_delay(self, attempt: int) -> float:
        """Return the longest wait in seconds after a failed attempt. The first attempt is 1."""
        try:
            return min(self.max_delay, self.first_delay * self.factor ** (attempt - 1))
        except OverflowError:
            return self.max_delay

    def delay(self, attempt: int) -> float:
        """Return a random wait in seconds after a failed attempt."""
        return uniform(0.0, self.longest_delay(attempt))  # noqa: S311 - this is not cryptography
