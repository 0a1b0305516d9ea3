"""The async receivers awaited by hand, with the results in a list of pairs."""

from typing import Any

from benchmarks.benchmark import Benchmark, Participants, run_coroutine

DISTRIBUTION = None


def benchmark(participants: Participants) -> Benchmark:
    """Await the receivers."""
    receivers = {f"receiver_{n}": receiver for n, receiver in enumerate(participants.receivers())}
    pairs = ", ".join(f"({name}, await {name}(sender, a=1))" for name in receivers)
    made: dict[str, Any] = dict(receivers)
    exec(f"async def by_hand(sender):\n    return [{pairs}]", made)  # noqa: S102 - it is ours
    names = {"run": run_coroutine, "by_hand": made["by_hand"], "sender": participants.sender}
    return Benchmark("run(by_hand(sender))", names, made, participants.size)
