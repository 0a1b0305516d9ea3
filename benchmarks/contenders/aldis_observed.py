"""aldis with an observer that is notified of everything and does nothing."""

from aldis.core import observers
from benchmarks.benchmark import Benchmark, Participants
from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "benchmark"]


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    observers.attach(OBSERVER)
    return aldis.benchmark(participants)


OBSERVER = observers.Observer()
