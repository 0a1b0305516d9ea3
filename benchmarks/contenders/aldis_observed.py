"""aldis with somebody watching: an observer that is told of everything and does nothing with it."""

from aldis.core import observers
from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE
from benchmarks.scene import Crowd, Scene

__all__ = ["DISTRIBUTION", "ENGINE", "scene"]


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    observers.attach(OBSERVER)
    return aldis.scene(crowd)


OBSERVER = observers.Observer()
