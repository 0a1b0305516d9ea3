"""Interpreters in one process share no state of the call loop."""

from __future__ import annotations

import subprocess
import sys

import pytest

INSIDE = """
import aldis
from aldis.core import Observer, attach

signal = aldis.Signal()
heard = []

@signal.connect
def receive(sender, **payload):
    heard.append((sender, payload))

signal.send("x", a=1)
signal.send("x", _async_wrapper=None, a=2)
assert [("x", {"a": 1}), ("x", {"a": 2})] == heard, heard
attach(Observer())  # in this interpreter alone
"""

OUTSIDE = """
import sys
try:
    import _interpreters as interpreters  # 3.13
except ModuleNotFoundError:
    import _xxsubinterpreters as interpreters

INSIDE = sys.argv[1]
exec(INSIDE, {})
for _ in range(3):
    each = interpreters.create()
    failure = interpreters.run_string(each, INSIDE)
    assert failure is None, failure
    interpreters.destroy(each)

from aldis.core import _native, observers
assert len(observers._observers) == 1
exec(INSIDE, {})
print("all interpreters sent")
"""


@pytest.mark.parametrize("no_extensions", ["1", "0"])
def test_each_interpreter_has_a_separate_call_loop(no_extensions: str) -> None:
    """Sends in new interpreters do not affect the observers of the first interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", OUTSIDE, INSIDE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"ALDIS_NO_EXTENSIONS": no_extensions, "PYTHONPATH": ":".join(sys.path)},
    )
    assert ("all interpreters sent\n", "", 0) == (done.stdout, done.stderr, done.returncode)
