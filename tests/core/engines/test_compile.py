"""The source of the C engine."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src" / "aldis" / "core" / "_dispatch.c"
HEADERS = Path(sysconfig.get_path("include"))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.skipif(not (HEADERS / "Python.h").exists(), reason="no Python headers")
def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    """The compiler's usual warnings are on, and each supported Python runs this test."""
    # Missing fields of a static struct are zero. Extensions rely on this.
    strict = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
    command = ["gcc", "-O2", *strict, "-fPIC", f"-I{HEADERS}", "-c", str(SOURCE)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "dispatch.o")], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
