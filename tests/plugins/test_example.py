"""The worked example: plugins installed as distributions into the demo shop."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

pytest.importorskip("flask")


def setuptools_is_there():
    """Return whether setuptools is installed and can build wheels."""
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
    """The output of the example as lines."""
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


def test_installed_plugins_are_found(printed):
    """Three distributions are found by their entry points."""
    assert "Installed: crane, loyalty, radio." in printed


def test_a_working_plugin_receives_until_it_is_disabled(printed):
    """The list shows the plugin's receiver, which is called until the plugin is disabled."""
    enabled, disabled = printed.split("with loyalty disabled")
    assert "- loyalty: enabled" in enabled
    assert "- Loyalty.give_points, from loyalty" in enabled
    assert "- call_the_courier, from the shop" in enabled
    assert "- 18 points given" in enabled
    assert "taken at Harbour" in disabled
    assert "points" not in disabled


def test_an_absent_plugin_is_named(printed):
    """A plugin that is configured but not installed is an error. Its signal is a remark."""
    assert "- stocktake: no plugin is called 'stocktake'; installed in" in printed
    assert "remark: Loyalty.start_anew" in printed
    assert "listens to 'stocktake_finished', which no code declares" in printed


def test_a_misspelt_signal_is_found(printed):
    """The plugin's receiver is never called, and ``check`` gives the reason."""
    assert "- crane: enabled" in printed
    assert "listens to 'order_payed'" in printed
    assert "did you mean 'order_paid'? (of plugin 'crane')" in printed


def test_a_failing_plugin_is_named_and_leaves_nothing(printed):
    """The error names the plugin, the distribution and the entry, and nothing is connected."""
    assert "plugin 'radio' (shop_radio:Radio of shop-radio 1.0) cannot be enabled" in printed
    assert "entry 1 of 'stock_low': connect has no option 'reciever'" in printed
    assert ", of radio" not in printed
