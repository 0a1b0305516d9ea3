"""Processes are killed at random instants; nothing is lost and nothing runs twice."""

import pytest

from tests.durable.kill.stress import StressRun
from tests.sizes import sized

KILLS = sized(4, 100)


@pytest.mark.stress
def test_killed_at_random(fork_server, engine, url, tmp_path):
    """Killing web processes and workers at random breaks no promise."""
    stress = StressRun(fork_server, url, engine, tmp_path)
    stress.start_all()
    stress.inject(KILLS, stress.kill_one)
    stress.finish()
    report = stress.check()
    print(report)  # noqa: T201 - pytest shows the counts if the test fails
    assert [] == report.wrong
    assert report.sends > 0
