"""aldis, and a signal with a contract."""

from aldis import ANY, Namespace
from benchmarks.benchmark import Benchmark, Participants, Sender
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "benchmark"]


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""

    @Namespace().define
    def measured(sender: Sender, /, *, a: int) -> None:
        """Sent to be timed."""

    keep = list(participants.connections(ANY))
    for receiver, sender in keep:
        measured.connect(receiver, sender=sender)
    names = {"signal": measured, "sender": participants.sender}
    return Benchmark("signal.send(sender, a=1)", names, keep, participants.size)
