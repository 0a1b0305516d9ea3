"""The calls written out by hand, the answers dropped: ``receiver_0(sender, a=1)`` and so on.

With no receivers that is the empty loop, whose cost is in every other figure too.
"""

from benchmarks.scene import Crowd, Scene

DISTRIBUTION = None


def scene(crowd: Crowd) -> Scene:
    """Call the crowd."""
    receivers = {f"receiver_{n}": receiver for n, receiver in enumerate(crowd.receivers())}
    statement = "\n".join(f"{name}(sender, a=1)" for name in receivers) or "pass"
    return Scene(statement, {"sender": crowd.sender, **receivers}, None, crowd.size)
