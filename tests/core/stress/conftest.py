"""What the hard tests of the engine share."""

import gc
import sys

import pytest


@pytest.fixture
def unraised(monkeypatch):
    """Collect what is raised where nobody can catch it: in a ``__del__`` or a weakref callback."""
    collected = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: collected.append(args.exc_value))
    return collected


@pytest.fixture(autouse=True)
def small_heap():
    """Keep the collector off what was there before the test: it shall come often."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
