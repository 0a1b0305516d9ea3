"""aldis while ``trace()`` records every send."""

from contextlib import AbstractContextManager

from aldis.observe import Trace, trace
from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE
from benchmarks.scene import Crowd, Scene

__all__ = ["DISTRIBUTION", "ENGINE", "scene"]


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send. The trace ends with the process."""
    if not TRACES:
        TRACES.append(trace())
        TRACES[0].__enter__()
    return aldis.scene(crowd)


TRACES: list[AbstractContextManager[Trace]] = []
