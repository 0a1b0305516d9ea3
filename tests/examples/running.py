"""Starts the example shop as a user does, in a separate process."""

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.processes import LIMIT

ROOT = Path(__file__).parents[2]


def environment(**changes):
    """Return this process's environment with UTF-8, without Node.js, and with ``more``."""
    fixed = {"PYTHONUTF8": "1", "PYTHONWARNINGS": "error", "PATH": ""}
    return {**os.environ, **fixed, **changes}


def run_demo(**changes):
    """Run the demo to its end, its output in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "examples.shop.demo"],
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )


@contextmanager
def serving(**changes):
    """Serve the shop during the block; yield the process and the address of the shop."""
    with subprocess.Popen(
        [sys.executable, "-m", "examples.shop.serve"],
        cwd=ROOT,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            said = iter(process.stdout.readline, "")
            opened = next(line for line in said if line.startswith("The shop is open"))
            yield process, opened.split()[-1]
        finally:
            process.terminate()  # it removes its folder
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=LIMIT)
            process.kill()
