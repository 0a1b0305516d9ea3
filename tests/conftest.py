"""What every test shares."""

# First of all: Flask, in every test, runs on aldis.
import aldis.as_blinker

# isort: split

import os
import signal
import sys

import pytest
from hypothesis import settings

# A shell starts what it runs in the background with Ctrl-C ignored, and so would be every process
# that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The gate must fail only for what a change did: no deadlines, and the same examples for the same
# code. At home hypothesis goes on looking for new ones.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("home", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "home")


@pytest.fixture(autouse=True)
def durable_names():
    """Forget what durable receivers a test has made: their names are the process's."""
    receivers = sys.modules.get("aldis.durable.receiver")
    before = None if receivers is None else receivers.receivers_by_name()
    yield
    receivers = sys.modules.get("aldis.durable.receiver")
    if receivers is not None:
        lasting = {
            id(each) for each in receivers.all_receivers() if "<locals>" not in each.__qualname__
        }
        receivers.restore_receivers(before or {}, lasting)


@pytest.fixture
def lenient():
    """Turn strict mode off for one test, wherever the suite runs."""
    before = aldis.set_strict(False)
    yield
    aldis.set_strict(before)


@pytest.fixture
def strict():
    """Turn strict mode on for one test."""
    before = aldis.set_strict(True)
    yield
    aldis.set_strict(before)
