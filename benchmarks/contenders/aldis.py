from aldis import ANY, Signal
from aldis.core._native import COMPILED
from benchmarks.benchmark import Benchmark, Participants

DISTRIBUTION = "aldis"
ENGINE = "C" if COMPILED else "Python"


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    signal = Signal()
    keep = list(participants.connections(ANY))
    for receiver, sender in keep:
        signal.connect(receiver, sender=sender)
    names = {"signal": signal, "sender": participants.sender}
    return Benchmark("signal.send(sender, a=1)", names, keep, participants.size)
