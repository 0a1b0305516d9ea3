"""Installs aldis as blinker in every process of a suite, and records which of them ran.

The environment of each suite contains a copy of this file and a line that imports it. So this code
runs when Python starts, before anything can import blinker. It does nothing unless the runner's
variables are set. It needs the standard library only.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ENGINE = "ALDIS_DOWNSTREAM_ENGINE"
"""The variable that says which engine to run on: ``blinker`` or ``aldis``."""
PACKAGE = "ALDIS_DOWNSTREAM_PACKAGE"
"""The variable that names the directory which aldis is imported from."""
RECORD = "ALDIS_DOWNSTREAM_RECORD"
"""The variable that names the file to which each process adds its line."""


class Watch:
    """Records imports of the real blinker in a run on aldis."""

    def __init__(self) -> None:
        self.slipped: list[str] = []

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Record an import of a blinker module, and find nothing."""
        if name == "blinker" or name.startswith("blinker."):
            self.slipped.append(name)
        return None


def engine_in_use() -> str:
    """Return what ``blinker`` is in this process: ``aldis``, ``blinker`` or ``none``."""
    blinker = sys.modules.get("blinker")
    if blinker is None:
        return "none"
    aldis = sys.modules.get("aldis")
    return "aldis" if aldis and blinker.Signal is aldis.Signal else "blinker"


def start(engine: str) -> None:
    """Install aldis as blinker if this is a run on aldis; write the record at exit."""
    watch = Watch()
    if engine == "aldis":
        sys.path.append(os.environ[PACKAGE])
        sys.meta_path.insert(0, watch)
        import aldis.as_blinker  # noqa: F401
    atexit.register(record, watch)


def record(watch: Watch) -> None:
    """Add this process's line to the record."""
    line = {
        "pid": os.getpid(),
        "engine": engine_in_use(),
        "compiled": getattr(sys.modules.get("aldis"), "COMPILED", None),
        "slipped": watch.slipped,
    }
    with Path(os.environ[RECORD]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if ENGINE in os.environ:
    start(os.environ[ENGINE])
