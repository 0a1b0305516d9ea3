"""aldis, sending robustly."""

from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE
from benchmarks.scene import Crowd, Scene

__all__ = ["DISTRIBUTION", "ENGINE", "scene"]


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    plain = aldis.scene(crowd)
    return Scene("signal.send_robust(sender, a=1)", plain.names, plain.keep, plain.runs)
