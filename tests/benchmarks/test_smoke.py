"""The benchmarks run and print a report. No test asserts a figure."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases import GROUPS
from tests.processes import LIMIT
from tests.sizes import sized

ROOT = Path(__file__).resolve().parents[2]

#: The groups of benchmarks that run here.
MEASURED = sized(("send", "connect"), GROUPS)


def benchmarks(*arguments):
    """Run the benchmarks as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One quick run: the ended process, and its folder."""
    out = tmp_path_factory.mktemp("benchmarks")
    done = benchmarks("--quick", "--only", ",".join(MEASURED), "--out", out)
    assert done.returncode == 0, done.stderr
    return done, out


@pytest.mark.slow
class TestQuickRun:
    def test_writes_a_report_of_every_group(self, run):
        """The report has the machine, the goals, and a table for each group."""
        _, out = run
        report = (out / "RESULTS.md").read_text(encoding="utf-8")
        tables = re.findall(r"^\|[-:| ]+\|$", report, re.MULTILINE)
        assert len(tables) >= 2 + len(MEASURED)
        assert "| processor |" in report

    def test_measures_aldis_beside_blinker(self, run):
        """aldis, blinker and the calls by hand are measured in the same rounds."""
        _, out = run
        series = json.loads((out / "results.json").read_text(encoding="utf-8"))["samples"]["series"]
        sends = series["send/functions/1/ns"]
        assert {"blinker", "aldis-py", "hand", "hand-pairs"} <= sends.keys()
        assert sends["blinker"].keys() == sends["aldis-py"].keys()

    def test_sets_up_every_case(self, run):
        """Only missing peers, engines that are not built, and known limits are left out."""
        _, out = run
        samples = json.loads((out / "results.json").read_text(encoding="utf-8"))["samples"]
        known = ("No module named", "engine is in use", "it ", "a plugin's hook")
        reasons = samples["skipped"].values()
        assert [why for why in reasons if not any(each in why for each in known)] == []

    def test_prints_progress_on_standard_error_only(self, run):
        """Standard output stays empty."""
        done, _ = run
        assert done.stdout == ""
        assert "launch 1 of 1: send/functions/0" in done.stderr

    def test_redraws_from_its_data(self, run):
        """``--redraw`` measures nothing and writes the same report."""
        _, out = run
        before = (out / "RESULTS.md").read_text(encoding="utf-8")
        assert benchmarks("--redraw", "--out", out).returncode == 0
        assert (out / "RESULTS.md").read_text(encoding="utf-8") == before


def test_an_unknown_group_is_refused_with_the_known_ones(tmp_path):
    """The error for a typo in ``--only`` lists the names."""
    done = benchmarks("--only", "sned", "--out", tmp_path)
    assert done.returncode == 2
    assert "sned: choose from send, variants, connect, paths, flask" in done.stderr
