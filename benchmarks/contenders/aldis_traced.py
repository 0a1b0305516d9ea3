"""aldis while ``trace()`` records every send."""

from contextlib import AbstractContextManager

from aldis.observe import Trace, trace
from benchmarks.benchmark import Benchmark, Participants
from benchmarks.contenders import aldis
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "benchmark"]


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send. The trace ends with the process."""
    if not TRACES:
        TRACES.append(trace())
        TRACES[0].__enter__()
    return aldis.benchmark(participants)


TRACES: list[AbstractContextManager[Trace]] = []
