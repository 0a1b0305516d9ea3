"""Fixtures for the tests of plugins."""

import importlib
import sys

import pytest

from aldis import Namespace
from tests.plugins.distributions import Distributions


@pytest.fixture
def shop():
    """A namespace for this test."""
    return Namespace()


@pytest.fixture
def distributions(tmp_path, monkeypatch):
    """A folder on ``sys.path`` where this test installs distributions of plugins."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    yield Distributions(tmp_path, "aldis.plugins")
    for name in [name for name in sys.modules if name.startswith("dist_")]:
        del sys.modules[name]
