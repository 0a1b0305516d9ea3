"""The calls written by hand, without a list of results: ``receiver_0(sender, a=1)`` and so on.

Without receivers, this is the empty loop. Its time is part of every other figure.
"""

from benchmarks.benchmark import Benchmark, Participants

DISTRIBUTION = None


def benchmark(participants: Participants) -> Benchmark:
    """Call the receivers."""
    receivers = {f"receiver_{n}": receiver for n, receiver in enumerate(participants.receivers())}
    statement = "\n".join(f"{name}(sender, a=1)" for name in receivers) or "pass"
    return Benchmark(
        statement, {"sender": participants.sender, **receivers}, None, participants.size
    )
