"""The async receivers awaited by hand, and their answers in a list of pairs."""

from typing import Any

from benchmarks.scene import Crowd, Scene, run_coroutine

DISTRIBUTION = None


def scene(crowd: Crowd) -> Scene:
    """Await the crowd."""
    receivers = {f"receiver_{n}": receiver for n, receiver in enumerate(crowd.receivers())}
    pairs = ", ".join(f"({name}, await {name}(sender, a=1))" for name in receivers)
    made: dict[str, Any] = dict(receivers)
    exec(f"async def by_hand(sender):\n    return [{pairs}]", made)  # noqa: S102 - it is ours
    names = {"run": run_coroutine, "by_hand": made["by_hand"], "sender": crowd.sender}
    return Scene("run(by_hand(sender))", names, made, crowd.size)
