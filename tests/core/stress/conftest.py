"""Fixtures of the stress tests."""

import gc
import sys
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Skip these tests under a tracer, coverage's or a debugger's.

    It works between any two lines, where the engine lets nobody come in between, and takes locks
    of its own, which an interrupt or a fork may leave locked.
    """
    if sys.gettrace() is None:
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="a tracer comes between what is together"))


@pytest.fixture
def unraised(monkeypatch):
    """Collect exceptions of ``__del__`` and weakref callbacks, which no code can catch."""
    collected = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: collected.append(args.exc_value))
    return collected


@pytest.fixture(autouse=True)
def small_heap():
    """Collect the garbage of earlier tests, so that the collector is fast."""
    gc.collect()
