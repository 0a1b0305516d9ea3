"""PyDispatcher, which keeps all signals in one global table."""

from pydispatch import dispatcher

from benchmarks.benchmark import Benchmark, Participants

DISTRIBUTION = "PyDispatcher"


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    signal = object()
    keep = list(participants.connections(dispatcher.Any))
    for receiver, sender in keep:
        dispatcher.connect(receiver, signal=signal, sender=sender)
    names = {"send": dispatcher.send, "signal": signal, "sender": participants.sender}
    return Benchmark("send(signal, sender, a=1)", names, keep, participants.size)
