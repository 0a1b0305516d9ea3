"""Django's dispatcher, which hands the signal to each receiver as a keyword argument."""

from django.dispatch import Signal

from benchmarks.benchmark import Benchmark, Participants

DISTRIBUTION = "Django"


def benchmark(participants: Participants, *, use_caching: bool = False) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    signal = Signal(use_caching=use_caching)
    keep = list(participants.connections(None, "sender, a, signal"))
    for receiver, sender in keep:
        signal.connect(receiver, sender=sender)
    names = {"signal": signal, "sender": participants.sender}
    return Benchmark("signal.send(sender, a=1)", names, keep, participants.size)
