"""The benchmark of the Flask extension runs, and measures all three side by side."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tables import NONE
from tests.processes import LIMIT

ROOT = Path(__file__).resolve().parents[2]
RATIO = rf"[\d.]+ \([\d.]+{NONE}[\d.]+\)"


@pytest.mark.slow
def test_measures_flask_with_and_without_the_extension(tmp_path):
    """Each request has a figure for blinker and three ratios. No test asserts them."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.extension", "--quick", "--out", tmp_path / "out.md"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=LIMIT,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (tmp_path / "out.md").read_text(encoding="utf-8")
    assert re.search(rf"\| page, 5 \| [\d.]+ \| {RATIO} \| {RATIO} \| {RATIO} \|", ended.stdout)
