"""Helpers that several core tests share."""

import gc
import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import distribution
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import aldis


def line_of(function):
    """Return the location of a function as aldis's messages show it."""
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def exactly(text):
    """Return a pattern for ``pytest.raises(match=...)`` that matches the whole message."""
    return f"^{re.escape(text)}$"


def run_python(code, *flags, **environment):
    """Run a program in a fresh interpreter and return what it printed; fail if it fails."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


INSTALL = {
    "function": "import aldis; aldis.install_as_blinker()",
    "import": "import aldis.as_blinker",
}


def on_aldis(code, how="function"):
    """Run a program whose blinker is aldis, and return what it printed."""
    return run_python(INSTALL[how] + "\n" + textwrap.dedent(code))


def source_root():
    """Return the directory that aldis is imported from."""
    return str(Path(aldis.__file__).parents[1])


def load_blinker():
    """Load blinker 1.9.0 under another name, even if aldis is installed as blinker."""
    found = distribution("blinker")
    assert found.version == "1.9.0"
    init = Path(str(found.locate_file("blinker/__init__.py")))
    spec = spec_from_file_location("blinker_1_9_0", init)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def libraries(*errors):
    """Return the libraries for the test of a defect. blinker must fail it with ``errors``."""
    fails = pytest.mark.xfail(reason="blinker 1.9.0 has this defect", strict=True, raises=errors)
    return ["aldis", pytest.param("blinker", marks=fails)]


def blinker_raises(*errors):
    """Expect blinker to fail the test with one of ``errors`` instead of an assertion."""
    return pytest.mark.parametrize("library", libraries(*errors), indirect=True)


class Sender:
    """A sender that can be weakly referenced."""


class Recorder:
    """A receiver that remembers senders and payloads."""

    def __init__(self, answer=None):
        self.answer = answer
        self.senders = []
        self.payloads = []

    def __call__(self, sender, /, **payload):
        """Remember."""
        self.senders.append(sender)
        self.payloads.append(payload)
        return self.answer


def resend(signal, sender=None, /, **payload):
    """Send three times, first by the slow path and then by the call loop, with equal results."""
    first, *others = [signal.send(sender, **payload) for _ in range(3)]
    assert [first, first] == others
    return first


class FirstOrLaterSend:
    """Sends a signal for a test that acts in the first send or in a later one.

    The first send after a change takes the slow path. Later sends run in the call loop.
    """

    def __init__(self, warm):
        self.warm = warm
        self.now = True

    def send(self, signal, sender=None):
        """Send. If the test acts in a later send, send a few times before."""
        if self.warm:
            self.now = False
            signal.send(sender)
            signal.send(sender)
            self.now = True
        return signal.send(sender)


def collect():
    """Run the garbage collector until it finds no more garbage."""
    while gc.collect():
        pass
