"""The waits between the attempts of a delivery."""

import pytest

from aldis.durable import Retry

#: Seconds from Friday at 18:00 to Monday at 9:00.
WEEKEND = 63 * 3600


def waits(retry, choose):
    """Return the wait after each failed attempt but the last one."""
    return [choose(retry, attempt) for attempt in range(1, retry.attempts)]


def test_the_default_outlives_a_weekend():
    """An outage of a weekend makes no dead letter, and the waits grow to the longest one."""
    default = Retry()
    longest = waits(default, Retry.longest_delay)
    assert sum(longest) / 2 > WEEKEND
    assert sum(waits(default, Retry.delay)) > WEEKEND
    assert longest[-1] == default.max_delay
    assert longest[:4] == [2, 4, 8, 16]  # a short outage delays a delivery for seconds


@pytest.mark.parametrize("attempt", [1, 3, 40, 10_000])
def test_a_wait_is_random(attempt):
    """Each wait is between half of the longest one and all of it."""
    retry = Retry(first_delay=3, max_delay=1000, factor=3)
    longest = retry.longest_delay(attempt)
    found = {retry.delay(attempt) for _ in range(100)}
    assert len(found) > 1
    assert all(longest / 2 <= each <= longest <= 1000 for each in found)
