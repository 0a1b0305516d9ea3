"""PyDispatcher, which keeps all signals in one global table."""

from pydispatch import dispatcher

from benchmarks.scene import Crowd, Scene

DISTRIBUTION = "PyDispatcher"


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    signal = object()
    keep = list(crowd.connections(dispatcher.Any))
    for receiver, sender in keep:
        dispatcher.connect(receiver, signal=signal, sender=sender)
    names = {"send": dispatcher.send, "signal": signal, "sender": crowd.sender}
    return Scene("send(signal, sender, a=1)", names, keep, crowd.size)
