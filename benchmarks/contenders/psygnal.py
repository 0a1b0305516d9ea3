"""psygnal, whose payload is positional and whose sender is the object that has the signal."""

import psygnal

from benchmarks.scene import Crowd, Scene, UnsupportedError

DISTRIBUTION = "psygnal"


class Emitter:
    measured = psygnal.Signal(object, int)


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    if crowd.shape == "open":
        message = "it passes no keyword arguments"
        raise UnsupportedError(message)
    emitter = Emitter()
    keep = crowd.of_any_sender()
    for receiver in keep:
        emitter.measured.connect(receiver)
    names = {"signal": emitter.measured, "sender": crowd.sender}
    return Scene("signal.emit(sender, 1)", names, (emitter, keep), crowd.size)
