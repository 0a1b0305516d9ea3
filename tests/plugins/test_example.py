"""The worked example: plugins installed as distributions into the demo shop."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

pytest.importorskip("flask")


def setuptools_is_there():
    """Tell whether there is a setuptools that builds wheels by itself."""
    try:
        return int(version("setuptools").partition(".")[0]) >= 77
    except PackageNotFoundError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not setuptools_is_there(), reason="needs setuptools>=77 to build wheels"),
]


@pytest.fixture(scope="module")
def printed():
    """What the example prints, in one line each."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.plugins"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONUTF8": "1"},
        text=True,
        timeout=100,
    )
    assert 0 == done.returncode, done.stderr
    return " ".join(done.stdout.split())


def test_what_is_installed_is_found(printed):
    """Three distributions are found by their entry points, wherever pip put them."""
    assert "Installed: crane, loyalty, radio." in printed


def test_one_that_works_listens_and_leaves(printed):
    """The plugin is shown among those who listen, is heard, and is not when it is disabled."""
    enabled, disabled = printed.split("with loyalty disabled")
    assert "- loyalty: enabled" in enabled
    assert "- Loyalty.give_points, from loyalty" in enabled
    assert "- call_the_courier, from the shop" in enabled
    assert "- 18 points given" in enabled
    assert "taken at Harbour" in disabled
    assert "points" not in disabled


def test_one_that_is_absent_is_named(printed):
    """A plugin that is configured but not installed is an error; its signal is a remark."""
    assert "- stocktake: no plugin is called 'stocktake'; installed in" in printed
    assert "remark: Loyalty.start_anew" in printed
    assert "listens to 'stocktake_finished', which no code declares" in printed


def test_one_that_misspells_is_found(printed):
    """It is enabled and hears nothing, and a check says why."""
    assert "- crane: enabled" in printed
    assert "listens to 'order_payed'" in printed
    assert "did you mean 'order_paid'? (of plugin 'crane')" in printed


def test_one_that_fails_is_named_and_leaves_nothing(printed):
    """The error says which plugin, which distribution and which entry; none of it listens."""
    assert "plugin 'radio' (shop_radio:Radio of shop-radio 1.0) cannot be enabled" in printed
    assert "entry 1 of 'stock_low': connect has no option 'reciever'" in printed
    assert ", of radio" not in printed
