"""Measures an import in a new interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

_PROGRAM: Final = """
from time import perf_counter_ns
began = perf_counter_ns()
import {0}
print(perf_counter_ns() - began)
"""
_TIMES: Final = 3


class Import:
    """Imports a package in new interpreters.

    Args:
        package: The name of the package.
    """

    def __init__(self, package: str) -> None:
        self._command = [sys.executable, "-c", _PROGRAM.format(package)]
        # Compile the modules once, as an installation does.
        self._environment = {**os.environ}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._once()

    def measure(self) -> dict[str, float]:
        """Return the milliseconds of the fastest of a few imports."""
        return {"ms": min(self._once() for _ in range(_TIMES)) / 1e6}

    def _once(self) -> float:
        done = subprocess.run(
            self._command, capture_output=True, text=True, check=True, env=self._environment
        )
        return float(done.stdout)
