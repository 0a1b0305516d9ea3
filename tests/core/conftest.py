"""Fixtures of the core tests. They use the public API only, so that both engines can take them."""

import pytest

import aldis
from tests.core.support import Turn, libraries, load_blinker


@pytest.fixture
def signal():
    """Give a signal without a name."""
    return aldis.Signal()


@pytest.fixture(params=[False, True], ids=["first send", "later send"])
def turn(request):
    """Say in which send of a signal the receivers shall do something."""
    return Turn(request.param)


@pytest.fixture
def shop():
    """Give an empty namespace."""
    return aldis.Namespace()


@pytest.fixture(autouse=True)
def always_lenient(lenient):
    """Start each test with strict mode off."""


@pytest.fixture(params=libraries(AssertionError, pytest.fail.Exception))
def library(request):
    """Give aldis, and then blinker 1.9.0, which must fail the test: the proof that it can fail."""
    return aldis if request.param == "aldis" else load_blinker()
