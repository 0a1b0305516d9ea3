"""When a failed delivery is retried, and when a failing receiver is paused."""

from __future__ import annotations

from dataclasses import dataclass
from random import uniform
from typing import Any

from aldis.errors import check_seconds

__all__ = ["Breaker", "Retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a failed delivery is retried, and how long it waits between attempts.

    The longest wait before attempt ``n + 1`` is ``first_delay * factor ** (n - 1)`` seconds, but at
    most ``max_delay``. The wait is random, between half of that and all of it. This is exponential
    backoff with equal jitter: deliveries that failed together do not come back together, and the
    receiver still gets at least half of the time. (Marc Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015.)

    By default, a delivery is retried for three to six days, so an outage that begins on Friday
    evening can be repaired on Monday. The waits grow to three hours within four to five hours.

    Args:
        attempts: The number of attempts, including the first. After the last one, the delivery is a
            dead letter.
        first_delay: The longest wait before the second attempt, in seconds.
        max_delay: The longest wait before any attempt, in seconds.
        factor: The growth of the longest wait from attempt to attempt.

    Raises:
        ValueError: A number is out of range.
    """

    attempts: int = 60
    first_delay: float = 2.0
    max_delay: float = 10_800.0
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
        longest = self.longest_delay(attempt)
        return uniform(longest / 2, longest)  # noqa: S311 - this is not cryptography


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When the workers pause a receiver that fails again and again, and how they try it again.

    An outage makes every delivery fail. Without a pause, it would cost each waiting delivery its
    attempts. While a receiver is paused, the workers of a database try one delivery at a time, and
    wait longer after each failure. The first success ends the pause.

    A failure counts if it has the type of the failures before it. ``GiveUp``, ``RetryLater`` and
    payloads that do not fit do not count, because they concern one delivery.

    Args:
        failures: After how many failures in a row a worker pauses the receiver.
        first_pause: Seconds until the workers try the first delivery.
        max_pause: The longest time between two trials, in seconds. The time doubles from trial to
            trial.

    Raises:
        TypeError: ``failures`` is not a whole number.
        ValueError: A number is out of range.
    """

    failures: int = 10
    first_pause: float = 5.0
    max_pause: float = 300.0

    def __post_init__(self) -> None:
        _check_failures(self.failures)
        check_seconds(self.first_pause)
        check_seconds(self.max_pause)
        if self.max_pause < self.first_pause:
            message = (
                f"max_pause must be at least first_pause, {self.first_pause:g} s, not "
                f"{self.max_pause:g} s"
            )
            raise ValueError(message)

    def pause(self, trials: int) -> float:
        """Return the seconds until the next trial, after ``trials`` failed ones."""
        return min(self.max_pause, self.first_pause * 2.0 ** min(trials, 60))


def _check_failures(failures: Any) -> None:
    if not isinstance(failures, int) or isinstance(failures, bool):
        message = f"failures must be a whole number, such as 10, not {failures!r}"
        raise TypeError(message)
    if failures < 1:
        message = f"failures must be at least 1, not {failures!r}; breaker=None pauses never"
        raise ValueError(message)
