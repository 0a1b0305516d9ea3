"""Describes the machine of the measurements."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path


def describe() -> dict[str, str]:
    """Return facts about this machine and its Python, by name."""
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": (
            f"{platform.python_implementation()} {platform.python_version()}, "
            f"{platform.python_compiler()}"
        ),
    }
    if hasattr(os, "getloadavg"):
        about["load when it began"] = f"{os.getloadavg()[0]:.2f}"
    if sys.flags.optimize:
        about["flags"] = "-" + "O" * sys.flags.optimize
    return about


def processor() -> str:
    """Return the processor's model, if the system shows it."""
    facts: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    model = facts.get("model name") or platform.processor() or "unknown"
    # Virtual machines hide the name, but these two values show the generation.
    if "cpu family" in facts and "model" in facts:
        model += f" (family {facts['cpu family']}, model {facts['model']})"
    if "cpu MHz" in facts:
        model += f", {float(facts['cpu MHz']) / 1000:.1f} GHz"
    return model
