"""aldis, sending robustly."""

from benchmarks.benchmark import Benchmark, Participants
from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "benchmark"]


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    plain = aldis.benchmark(participants)
    return Benchmark("signal.send_robust(sender, a=1)", plain.names, plain.keep, plain.runs)
