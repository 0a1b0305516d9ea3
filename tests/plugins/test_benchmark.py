"""The benchmark of plugins: that it measures what it says."""

from benchmarks.plugins import SUBSCRIPTIONS, measure


def test_every_step_is_measured_and_checked():
    """Each plugin is added, enabled, reloaded and disabled, and no receiver is lost or left."""
    result = measure(5)
    assert 10 == SUBSCRIPTIONS
    assert {"add", "enable", "reload", "disable"} == set(result)
    assert all(taken > 0 for taken in result.values())
