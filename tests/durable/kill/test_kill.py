"""Processes killed at random instants: nothing that was committed is lost, nothing else appears."""

import pytest

from tests.durable.kill.storm import Storm
from tests.sizes import sized

KILLS = sized(4, 100)


@pytest.mark.stress
def test_killed_at_random(nursery, engine, url, tmp_path):
    """Web processes and workers are killed again and again, and every promise is kept."""
    storm = Storm(nursery, url, engine, tmp_path)
    storm.begin_all()
    storm.rage(KILLS, storm.kill_one)
    storm.calm_down()
    found = storm.found()
    print(found)  # noqa: T201 - what was counted is half of the answer
    assert [] == found.wrong
    assert found.sends > 0
