"""aldis, sending to async receivers."""

from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE
from benchmarks.scene import Crowd, Scene, run_coroutine

__all__ = ["DISTRIBUTION", "ENGINE", "scene"]


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and await a send."""
    plain = aldis.scene(crowd)
    names = {**plain.names, "run": run_coroutine}
    return Scene("run(signal.asend(sender, a=1))", names, plain.keep, plain.runs)
