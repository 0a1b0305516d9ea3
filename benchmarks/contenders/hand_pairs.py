"""The calls written by hand, with the results in a list of pairs, as blinker returns it.

``[(receiver_0, receiver_0(sender, a=1)), …]``: one display, no loop, no ``append``.
"""

from benchmarks.benchmark import Benchmark, Participants

DISTRIBUTION = None


def benchmark(participants: Participants) -> Benchmark:
    """Call the receivers."""
    receivers = {f"receiver_{n}": receiver for n, receiver in enumerate(participants.receivers())}
    statement = "[" + ", ".join(f"({name}, {name}(sender, a=1))" for name in receivers) + "]"
    return Benchmark(
        statement, {"sender": participants.sender, **receivers}, None, participants.size
    )
