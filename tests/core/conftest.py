"""Fixtures of the core tests. They use the public API only, so they work with both engines."""

import pytest

import aldis
from tests.core.support import FirstOrLaterSend, libraries, load_blinker


@pytest.fixture
def signal():
    """Give a signal without a name."""
    return aldis.Signal()


@pytest.fixture(params=[False, True], ids=["first send", "later send"])
def timing(request):
    """Give a sender of signals for a test that acts in the first send or in a later one."""
    return FirstOrLaterSend(request.param)


@pytest.fixture
def shop():
    """Give an empty namespace."""
    return aldis.Namespace()


@pytest.fixture(autouse=True)
def always_lenient(lenient):
    """Start each test with strict mode off."""


@pytest.fixture(params=libraries(AssertionError, pytest.fail.Exception))
def library(request):
    """Give aldis and then blinker 1.9.0. blinker must fail the test: this proves the test."""
    return aldis if request.param == "aldis" else load_blinker()
