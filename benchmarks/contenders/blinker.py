from blinker import ANY, Signal

from benchmarks.benchmark import Benchmark, Participants

DISTRIBUTION = "blinker"


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    signal = Signal()
    keep = list(participants.connections(ANY))
    for receiver, sender in keep:
        signal.connect(receiver, sender=sender)
    names = {"signal": signal, "sender": participants.sender}
    return Benchmark("signal.send(sender, a=1)", names, keep, participants.size)
