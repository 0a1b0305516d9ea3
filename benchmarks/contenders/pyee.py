"""pyee, which holds its receivers strongly and drops their return values."""

from pyee.base import EventEmitter

from benchmarks.benchmark import Benchmark, Participants

DISTRIBUTION = "pyee"


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    emitter = EventEmitter()
    for receiver in participants.of_any_sender():
        emitter.add_listener("measured", receiver)
    names = {"emitter": emitter, "sender": participants.sender}
    return Benchmark("emitter.emit('measured', sender, a=1)", names, None, participants.size)
