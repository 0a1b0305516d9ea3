"""aldis, and a signal with a contract."""

from aldis import ANY, Namespace
from benchmarks.contenders.aldis import DISTRIBUTION, ENGINE
from benchmarks.scene import Crowd, Scene, Sender

__all__ = ["DISTRIBUTION", "ENGINE", "scene"]


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""

    @Namespace().define
    def measured(sender: Sender, /, *, a: int) -> None:
        """Sent to be timed."""

    keep = list(crowd.connections(ANY))
    for receiver, sender in keep:
        measured.connect(receiver, sender=sender)
    names = {"signal": measured, "sender": crowd.sender}
    return Scene("signal.send(sender, a=1)", names, keep, crowd.size)
