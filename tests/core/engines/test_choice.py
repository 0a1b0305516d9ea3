"""The choice of the engine at import."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import aldis

PRINT = "import aldis; print(aldis.COMPILED)"


def run(code: str, *, path: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, with the package at ``path`` if it is given."""
    environment = {**os.environ, **env}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the package without the C engine."""
    assert aldis.__file__ is not None
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(Path(aldis.__file__).parent, tmp_path / "aldis", ignore=ignored)
    return tmp_path


def test_the_environment_chooses_the_python_engine() -> None:
    """With ALDIS_NO_EXTENSIONS=1, aldis uses the Python engine."""
    assert "False\n" == run(PRINT, ALDIS_NO_EXTENSIONS="1").stdout


def test_zero_does_not_choose_the_python_engine() -> None:
    """ALDIS_NO_EXTENSIONS=0 works like a missing variable."""
    assert f"{aldis.COMPILED}\n" == run(PRINT, ALDIS_NO_EXTENSIONS="0").stdout or (
        os.environ.get("ALDIS_NO_EXTENSIONS", "") not in ("", "0")
    )


def test_without_an_extension_the_python_engine_is_used(copy: Path) -> None:
    """An installation without the C engine works."""
    assert "False\n" == run(PRINT, path=copy, ALDIS_NO_EXTENSIONS="").stdout


def test_a_broken_extension_is_never_silently_replaced(copy: Path) -> None:
    """If an extension exists but cannot be loaded, the import of aldis raises."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    (copy / "aldis" / "core" / f"_dispatch{suffix}").write_bytes(b"not a shared library")
    done = run(PRINT, path=copy, ALDIS_NO_EXTENSIONS="")
    assert 1 == done.returncode
    assert "ImportError" in done.stderr
    assert "_dispatch" in done.stderr


def test_a_broken_extension_can_be_avoided(copy: Path) -> None:
    """With ALDIS_NO_EXTENSIONS=1, aldis does not load a broken extension."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    (copy / "aldis" / "core" / f"_dispatch{suffix}").write_bytes(b"not a shared library")
    assert "False\n" == run(PRINT, path=copy, ALDIS_NO_EXTENSIONS="1").stdout
