"""Django's dispatcher as its model signals use it: the receivers of a sender are cached."""

from benchmarks.benchmark import Benchmark, Participants
from benchmarks.contenders import django
from benchmarks.contenders.django import DISTRIBUTION

__all__ = ["DISTRIBUTION", "benchmark"]


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    return django.benchmark(participants, use_caching=True)
