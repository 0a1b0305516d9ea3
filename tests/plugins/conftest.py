"""What the tests of plugins share."""

import importlib
import sys

import pytest

from aldis import Namespace
from tests.plugins.distributions import Distributions


@pytest.fixture
def shop():
    """A namespace of this test's own."""
    return Namespace()


@pytest.fixture
def distributions(tmp_path, monkeypatch):
    """Where distributions of plugins can be installed during this test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    yield Distributions(tmp_path, "aldis.plugins")
    for name in [name for name in sys.modules if name.startswith("dist_")]:
        del sys.modules[name]
