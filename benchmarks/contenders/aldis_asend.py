"""aldis, sending to async receivers."""

from benchmarks.benchmark import Benchmark, Participants, run_coroutine
from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "benchmark"]


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and await a send."""
    plain = aldis.benchmark(participants)
    names = {**plain.names, "run": run_coroutine}
    return Benchmark("run(signal.asend(sender, a=1))", names, plain.keep, plain.runs)
