"""psygnal, whose payload is positional and whose sender is the object that has the signal."""

import psygnal

from benchmarks.benchmark import Benchmark, Participants, UnsupportedError

DISTRIBUTION = "psygnal"


class Emitter:
    measured = psygnal.Signal(object, int)


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    if participants.shape == "open":
        message = "it passes no keyword arguments"
        raise UnsupportedError(message)
    emitter = Emitter()
    keep = participants.of_any_sender()
    for receiver in keep:
        emitter.measured.connect(receiver)
    names = {"signal": emitter.measured, "sender": participants.sender}
    return Benchmark("signal.emit(sender, 1)", names, (emitter, keep), participants.size)
