from aldis import ANY, Signal
from aldis.core._native import COMPILED
from benchmarks.scene import Crowd, Scene

DISTRIBUTION = "aldis"
ENGINE = "C" if COMPILED else "Python"


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    signal = Signal()
    keep = list(crowd.connections(ANY))
    for receiver, sender in keep:
        signal.connect(receiver, sender=sender)
    names = {"signal": signal, "sender": crowd.sender}
    return Scene("signal.send(sender, a=1)", names, keep, crowd.size)
