"""pyee, which holds its receivers strongly and drops their answers."""

from pyee.base import EventEmitter

from benchmarks.scene import Crowd, Scene

DISTRIBUTION = "pyee"


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    emitter = EventEmitter()
    for receiver in crowd.of_any_sender():
        emitter.add_listener("measured", receiver)
    names = {"emitter": emitter, "sender": crowd.sender}
    return Scene("emitter.emit('measured', sender, a=1)", names, None, crowd.size)
