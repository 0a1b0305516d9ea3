"""Fixtures of the stress tests."""

import gc
import sys
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Skip these tests under a tracer, such as coverage or a debugger.

    A tracer runs between any two lines, even where the engine must not be interrupted. Its own
    locks may stay locked after an interrupt or a fork.
    """
    if sys.gettrace() is None:
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="a tracer interrupts atomic operations"))


@pytest.fixture
def unraised(monkeypatch):
    """Collect exceptions of ``__del__`` and weakref callbacks, which no code can catch."""
    collected = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: collected.append(args.exc_value))
    return collected


@pytest.fixture(autouse=True)
def small_heap():
    """Collect the garbage of earlier tests, to make the collector fast."""
    gc.collect()
