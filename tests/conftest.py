"""Fixtures and hooks for all tests."""

# This import is the first, so that Flask runs on aldis in every test.
import aldis.as_blinker

# isort: split

import gc
import os
import signal
import sys

import pytest
from hypothesis import settings

from tests import services
from tests.processes import Guard
from tests.sizes import SIZE, sized
from tests.summary import lines_about_skips

# A shell starts a background command with Ctrl-C ignored. Every process that a test starts and
# interrupts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The gate fails only because of a change: no deadlines, and the same examples for the same code.
# At home hypothesis looks for new examples.
settings.register_profile("home", deadline=None, max_examples=sized(25, 500))
settings.register_profile("ci", settings.get_profile("home"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")

guard = pytest.StashKey()
left = pytest.StashKey()


def pytest_configure(config):
    """Start the guard that ends the tests' processes, and end pytest properly on SIGTERM."""
    if config.option.collectonly:
        return
    config.stash[left] = []
    config.stash[guard] = Guard()
    config.stash[guard].start()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # fixtures are torn down


def pytest_collection_modifyitems(items):
    """Give each test more time in the large size."""
    if SIZE == "large":
        for item in items:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(3600))


def pytest_collection_finish():
    """Leave the modules and the collected tests out of later garbage collections.

    They are hundreds of thousands of objects, and many tests collect garbage.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """End the processes that tests have left behind; they make the run a failure."""
    config = session.config
    if guard not in config.stash:
        return
    config.stash[left].extend(config.stash[guard].stop())
    if hasattr(config, "workeroutput"):  # a worker of pytest-xdist, which reports to its controller
        config.workeroutput["left"] = config.stash[left]
    elif config.stash[left] and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Add the processes that the tests of a worker of pytest-xdist left behind."""
    node.config.stash[left].extend(getattr(node, "workeroutput", {}).get("left", []))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Let the services know the running test, so that they can check its mark."""
    services.set_running(item)
    try:
        return (yield)
    finally:
        services.set_running(None)


def pytest_terminal_summary(terminalreporter):
    """Count the skipped tests by reason, and list the processes that were left.

    Pytest lists the failures after this.
    """
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and not terminalreporter.hasopt("s"):
        terminalreporter.section("skipped")
        for line in lines_about_skips(skipped):
            terminalreporter.line(line)
    if processes := terminalreporter.config.stash.get(left, []):
        terminalreporter.section("processes that tests left running", red=True)
        for line in processes:
            terminalreporter.line(line)


@pytest.fixture(autouse=True)
def durable_names():
    """Forget the durable receivers of a test: their names belong to the process."""
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
    """Turn strict mode off for one test."""
    before = aldis.set_strict(False)
    yield
    aldis.set_strict(before)


@pytest.fixture
def strict():
    """Turn strict mode on for one test."""
    before = aldis.set_strict(True)
    yield
    aldis.set_strict(before)
