"""Django's dispatcher as its model signals use it: the receivers of a sender are cached."""

from benchmarks.contenders import django
from benchmarks.contenders.django import DISTRIBUTION
from benchmarks.scene import Crowd, Scene

__all__ = ["DISTRIBUTION", "scene"]


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    return django.scene(crowd, use_caching=True)
