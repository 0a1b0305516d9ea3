"""Run code in a new interpreter, for tests of imports."""

import os
import subprocess
import sys
from textwrap import dedent

from tests.processes import LIMIT


def run(code, *, timeout=LIMIT):
    """Run ``code`` with warnings as errors, and return its output.

    Raises:
        AssertionError: It failed. The message has its standard error.
    """
    left_out = ("ALDIS_STRICT", "PYTHONWARNINGS")
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(code)],
        capture_output=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name not in left_out},
        text=True,
        timeout=timeout,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
