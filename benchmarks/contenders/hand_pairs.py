"""The calls written out by hand, and their answers in the list of pairs that blinker returns.

``[(receiver_0, receiver_0(sender, a=1)), …]``: one display, no loop, no ``append``.
"""

from benchmarks.scene import Crowd, Scene

DISTRIBUTION = None


def scene(crowd: Crowd) -> Scene:
    """Call the crowd."""
    receivers = {f"receiver_{n}": receiver for n, receiver in enumerate(crowd.receivers())}
    statement = "[" + ", ".join(f"({name}, {name}(sender, a=1))" for name in receivers) + "]"
    return Scene(statement, {"sender": crowd.sender, **receivers}, None, crowd.size)
