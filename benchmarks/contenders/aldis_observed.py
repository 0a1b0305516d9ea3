"""aldis with somebody watching: an observer that is told of everything and does nothing with it."""

from aldis.core import observers
from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, TWIN
from benchmarks.scene import Crowd, Scene

__all__ = ["DISTRIBUTION", "TWIN", "scene"]


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    observers.attach(OBSERVER)
    return aldis.scene(crowd)


OBSERVER = observers.Observer()
