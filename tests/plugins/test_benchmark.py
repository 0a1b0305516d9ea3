"""The benchmark of plugins measures each step that it reports."""

from benchmarks.plugins import SUBSCRIPTIONS, measure


def test_every_step_is_measured_and_checked():
    """Each plugin is added, enabled, reloaded and disabled, and none is lost or left over."""
    result = measure(5)
    assert 10 == SUBSCRIPTIONS
    assert {"add", "enable", "reload", "disable"} == set(result)
    assert all(taken > 0 for taken in result.values())
