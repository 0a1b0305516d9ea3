"""No lock of aldis hangs a process. :mod:`tests.lock_program` has the operations."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import aldis
from tests import lock_program

SOURCE = Path(aldis.__file__).parent

SITUATIONS = [
    "nested",
    pytest.param(
        "fork", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs os.fork")
    ),
    "finalizer",
    pytest.param(
        "handler", marks=pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="it needs it")
    ),
]


def run(situation, operation):
    """Run the program. It ends by itself if it hangs."""
    command = [sys.executable, "-m", "tests.lock_program", situation, operation.__name__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_trace_never_hangs(situation):
    """A ``__del__`` and a signal handler may send during a send that is traced. So may a child."""
    run(situation, lock_program.trace)


@pytest.mark.slow
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("operation", lock_program.OPERATIONS, ids=lambda each: each.__name__)
def test_no_operation_hangs(operation, situation):
    """Each operation that takes a lock may be interrupted by itself, or by a fork."""
    run(situation, operation)


def test_every_lock_is_fork_safe():
    """Each lock of the package is one of ``aldis.core.process``, and no other class takes one."""
    pattern = re.compile(
        r"from (threading|_thread|functools|queue) import .*"
        r"\b(Lock|Condition|Event|Semaphore|cached_property|Queue)\b|"
        r"\b(threading|_thread|functools|queue)\.(R?Lock|Condition|Event|Semaphore|Queue)\b"
    )
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    # `process` is the module of the locks, `_event` names what it replaces, and the suite of a
    # store uses locks in the tests of other projects only.
    assert {"core/process.py", "durable/_event.py", "testing/store/races.py"} == found
