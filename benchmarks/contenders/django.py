"""Django's dispatcher, which hands the signal to each receiver as a keyword argument."""

from django.dispatch import Signal

from benchmarks.scene import Crowd, Scene

DISTRIBUTION = "Django"


def scene(crowd: Crowd, *, use_caching: bool = False) -> Scene:
    """Connect the crowd to a new signal, and send."""
    signal = Signal(use_caching=use_caching)
    keep = list(crowd.connections(None, "sender, a, signal"))
    for receiver, sender in keep:
        signal.connect(receiver, sender=sender)
    names = {"signal": signal, "sender": crowd.sender}
    return Scene("signal.send(sender, a=1)", names, keep, crowd.size)
