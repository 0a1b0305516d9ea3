"""Environment variables and locks of the process."""

import subprocess
import sys

import pytest

from aldis.core.process import is_set
from tests.core.support import run_python


@pytest.mark.parametrize("value", ["1", "yes", "true", "on", "anything"])
def test_a_variable_turns_on(monkeypatch, value):
    """Every value that is not a "no" switches something on."""
    monkeypatch.setenv("ALDIS_TEST", value)
    assert is_set("ALDIS_TEST")


@pytest.mark.parametrize("value", ["", "0", "false", "False", "no", "OFF", " 0 "])
def test_a_variable_turns_nothing_on(monkeypatch, value):
    """A "no" in any spelling switches nothing on."""
    monkeypatch.setenv("ALDIS_TEST", value)
    assert not is_set("ALDIS_TEST")


def test_a_missing_variable_turns_nothing_on(monkeypatch):
    """A missing variable switches nothing on."""
    monkeypatch.delenv("ALDIS_TEST", raising=False)
    assert not is_set("ALDIS_TEST")


def test_a_platform_without_fork():
    """Signals work without ``os.register_at_fork``, as on Windows."""
    code = """
import os
del os.register_at_fork
import aldis
signal = aldis.Signal()
signal.connect(print)
signal.send("sent", end="")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ("sent", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_a_tool_finds_every_lock_of_the_import():
    """Eventlet replaces locks in the attributes of a module's objects, but not in slots."""
    printed = run_python(
        """
        import sys
        import aldis.as_blinker
        from aldis.core.process import lock_holders
        modules = [module for name, module in sys.modules.items() if name.startswith("aldis")]
        values = {id(each) for module in modules for each in vars(module).values()}
        holders = lock_holders()
        print([each for each in holders if id(each) not in values or "lock" not in vars(each)])
        """
    )
    assert printed == "[]"
