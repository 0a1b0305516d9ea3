"""The runner, in milliseconds. With ``-m downstream``, the core suites run, too."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from . import hook
from .prepare import CONSTRAINTS, constraints, copy_package
from .process import DownstreamError, execute
from .report import as_json, render
from .results import NotRun, Result, compare, read_junit
from .run import check_record
from .suites import SUITES, Suite, UnknownSuiteError, choose

ROOT = Path(__file__).resolve().parents[2]

SUITE = Suite(
    project="lamp",
    version="1.0",
    sha256="",
    requirements=("pytest==8.0.0",),
    differences={"test_may_differ": "asserts what is left behind"},
)

JUNIT = """
<testsuites><testsuite>
  <testcase classname="tests.test_lamp" name="test_on"/>
  <testcase classname="tests.test_lamp" name="test_off"><failure>dark</failure></testcase>
  <testcase classname="tests.test_lamp" name="test_dim"><skipped/></testcase>
  <testcase classname="tests.test_lamp" name="test_on"><error>teardown</error></testcase>
  <testcase classname="" name="tests.test_gone"><error>collection</error></testcase>
</testsuite></testsuites>
"""


def result(**tests):
    """Return a result; the tests have the names of their functions."""
    named = {f"tests.test_lamp::{name}": status for name, status in tests.items()}
    return Result(named, seconds=1.0, log=Path("lamp.log"), processes=1)


class TestTable:
    def test_names_each_project_once(self):
        """Each project has one suite."""
        names = [suite.project for suite in SUITES]
        assert sorted(names) == sorted(set(names))

    def test_pins_the_source_distribution(self):
        """Each suite has the hash of its source distribution."""
        assert all(len(suite.sha256) == 64 for suite in SUITES)

    def test_pins_what_the_tests_need(self):
        """Each requirement has a version, in the table or in the shared constraints."""
        shared = {line.partition("==")[0].lower() for line in CONSTRAINTS.read_text().splitlines()}
        loose = {
            requirement.partition("[")[0].lower()
            for suite in SUITES
            for requirement in suite.requirements
            if "==" not in requirement
        }
        assert loose <= shared

    def test_gives_every_documented_difference_a_reason(self):
        """Each documented difference has a reason."""
        assert all(reason for suite in SUITES for reason in suite.differences.values())


class TestChoose:
    def test_takes_the_core_suites_by_default(self):
        """Without a name, the suites of the gate are chosen."""
        assert [suite.project for suite in choose([])] == ["blinker", "flask"]

    def test_takes_the_named_suites(self):
        """A name chooses a suite, also one that is not core."""
        assert [suite.project for suite in choose(["pelican"])] == ["pelican"]

    def test_takes_everything(self):
        """``every`` chooses the whole table."""
        assert choose([], every=True) == list(SUITES)

    def test_refuses_an_unknown_name(self):
        """The error for a misspelt name lists the names."""
        with pytest.raises(UnknownSuiteError, match=r"no such suite: flsk; there are blinker, "):
            choose(["flsk"])


class TestConstraints:
    def test_a_suites_own_pin_wins(self):
        """The shared constraints leave out the packages that a suite pins."""
        lines = constraints(SUITE).splitlines()
        assert not any(line.startswith("pytest==") for line in lines)
        assert any(line.startswith("pytest-asyncio==") for line in lines)

    def test_a_suites_own_project_is_free(self):
        """The constraints leave out the project of the suite."""
        (mail,) = choose(["flask-mail"])
        assert "flask-mail==" not in constraints(mail).lower()


class TestResults:
    def test_reads_how_each_test_ended(self, tmp_path):
        """Errors count as failures. For a test that is listed twice, the worse result counts."""
        file = tmp_path / "junit.xml"
        file.write_text(JUNIT)
        assert read_junit(file) == {
            "tests.test_lamp::test_on": "failed",
            "tests.test_lamp::test_off": "failed",
            "tests.test_lamp::test_dim": "skipped",
            "tests.test_gone": "failed",
        }

    def test_a_failure_on_both_is_not_a_difference(self):
        """A test that fails on both engines is not a difference."""
        both = result(test_on="passed", test_off="failed")
        assert compare(SUITE, both, both).failures == ()

    @pytest.mark.parametrize("status", ["failed", "skipped"])
    def test_a_test_that_no_longer_passes_is_a_failure(self, status):
        """A test that passes on blinker must pass on aldis. A skip is a failure."""
        found = compare(SUITE, result(test_on="passed"), result(test_on=status))
        assert found.failures == ("tests.test_lamp::test_on",)

    def test_a_missing_test_is_a_failure(self):
        """A test that does not run on aldis counts as a failure."""
        found = compare(SUITE, result(test_on="passed"), result())
        assert found.failures == ("tests.test_lamp::test_on",)

    def test_a_new_failing_test_is_a_failure(self):
        """A file that cannot be imported is reported under a new name, which is a failure."""
        found = compare(SUITE, result(), result(test_on="failed"))
        assert found.failures == ("tests.test_lamp::test_on",)

    def test_a_documented_difference_is_not_a_failure(self):
        """A documented difference is listed with its reason."""
        found = compare(SUITE, result(test_may_differ="passed"), result(test_may_differ="failed"))
        assert found.failures == ()
        assert list(found.documented.values()) == ["asserts what is left behind"]

    def test_a_test_that_passes_only_on_aldis_is_named(self):
        """The tests that aldis fixes are listed, too."""
        found = compare(SUITE, result(test_on="failed"), result(test_on="passed"))
        assert (found.failures, found.fixed) == ((), ("tests.test_lamp::test_on",))

    def test_a_difference_that_is_gone_is_named(self):
        """A documented difference that no longer occurs is reported."""
        same = result(test_may_differ="passed")
        assert compare(SUITE, same, same).outdated == ("test_may_differ",)


class TestReport:
    @pytest.fixture
    def found(self):
        """A suite with one failure and one documented difference."""
        return compare(
            SUITE,
            result(test_on="passed", test_off="failed", test_may_differ="passed"),
            result(test_on="failed", test_off="failed", test_may_differ="failed"),
        )

    def test_shows_both_runs_side_by_side(self, found):
        """A line has the project, its version, both results and the differences."""
        row = render([found], []).splitlines()[2].split(maxsplit=4)
        assert row == ["lamp", "1.0", "2/1/0", "0/3/0", "1 FAILED, 1 documented"]

    def test_names_what_failed_and_the_log(self, found):
        """Below the table, each failure is named with both results."""
        text = render([found], [])
        assert "lamp: FAILED: tests.test_lamp::test_on (passed on blinker, failed" in text
        assert "lamp.log" in text
        assert "test_off" not in text

    def test_shows_suites_that_could_not_run(self):
        """A suite that did not run is in the table. The reason is below the table."""
        text = render([], [NotRun(SUITE, "no network")])
        assert "NOT RUN" in text
        assert "lamp: NOT RUN: no network" in text

    def test_is_there_as_json(self, found):
        """The report is also available as JSON."""
        one, other = json.loads(json.dumps(as_json([found], [NotRun(SUITE, "gone")])))["suites"]
        assert one["aldis"]["failed"] == 3
        assert one["failures"] == ["tests.test_lamp::test_on"]
        assert other["not_run"] == "gone"


class TestProof:
    LINE: ClassVar = {"pid": 1, "engine": "aldis", "compiled": True, "slipped": []}

    def test_accepts_a_run_on_the_right_engine(self):
        """A valid record names the engine."""
        unconcerned = {**self.LINE, "pid": 2, "engine": "none"}
        assert check_record([self.LINE, unconcerned], 1, "aldis") is True

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ({"pid": 2}, "nothing shows"),
            ({"engine": "none"}, "never imported blinker"),
            ({"engine": "blinker"}, "used blinker"),
            ({"slipped": ["blinker.base"]}, "blinker itself was imported: blinker.base"),
        ],
    )
    def test_refuses_a_run_that_proves_nothing(self, line, reason):
        """A run that may have used blinker is an error, not a result."""
        with pytest.raises(DownstreamError, match=reason):
            check_record([{**self.LINE, **line}], 1, "aldis")

    def test_refuses_a_process_on_another_engine(self):
        """Each process that the tests start must run on the engine."""
        other = {**self.LINE, "pid": 2, "engine": "blinker"}
        with pytest.raises(DownstreamError, match="a process of the run on aldis used blinker"):
            check_record([self.LINE, other], 1, "aldis")


class TestHook:
    def run(self, tmp_path, code):
        """Run code behind the hook and return the record of the process."""
        record, package = tmp_path / "record", tmp_path / "package"
        copy_package(package)
        environment = {
            **os.environ,
            hook.ENGINE: "aldis",
            hook.PACKAGE: str(package),
            hook.RECORD: str(record),
            "PYTHONPATH": str(Path(hook.__file__).parent),
        }
        subprocess.run(
            [sys.executable, "-c", f"import hook\n{code}"], env=environment, check=True, timeout=60
        )
        return json.loads(record.read_text())

    def test_puts_aldis_in_blinkers_place(self, tmp_path):
        """The blinker that the tests import is aldis, and the record names aldis."""
        line = self.run(tmp_path, "import blinker, aldis; assert blinker.signal is aldis.signal")
        assert (line["engine"], line["slipped"]) == ("aldis", [])

    def test_notices_when_blinker_slips_in(self, tmp_path):
        """The hook records tests that remove aldis from blinker's place and import blinker."""
        code = (
            "import sys; del sys.modules['blinker']\n"
            "for each in [*sys.meta_path]:\n"
            "    if type(each).__name__ == '_Finder': sys.meta_path.remove(each)\n"
            "try: import blinker\nexcept ImportError: 0"
        )
        assert self.run(tmp_path, code)["slipped"] == ["blinker"]


class TestExecute:
    def test_keeps_the_output(self, tmp_path):
        """The log has the command and its output."""
        log = tmp_path / "log"
        command = [sys.executable, "-c", "print('lit')"]
        ended = execute(command, directory=tmp_path, environment={}, log=log, timeout=60)
        assert ended.status == 0
        assert log.read_text().splitlines()[-1] == "lit"

    def test_stops_after_the_time_limit(self, tmp_path):
        """A run that hangs is stopped, and the error names the log."""
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        with pytest.raises(DownstreamError, match=r"stopped after 0\.5 s, see .*log"):
            execute(command, directory=tmp_path, environment={}, log=tmp_path / "log", timeout=0.5)


def python_m(*arguments, timeout):
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "tests.downstream", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_lists_the_suites():
    """``--list`` names every suite and marks the core suites."""
    done = python_m("--list", timeout=60)
    assert len(done.stdout.splitlines()) == len(SUITES)
    assert done.stdout.count("(core)") == 2


def test_refuses_a_name_it_does_not_know():
    """A misspelt name is a usage error."""
    done = python_m("flsk", timeout=60)
    assert done.returncode == 2
    assert "no such suite: flsk" in done.stderr


@pytest.mark.downstream
@pytest.mark.timeout(1800)
def test_core_suites_run_on_aldis(request):
    """The tests of blinker and of Flask pass on aldis, except for documented differences."""
    if "downstream" not in request.config.getoption("markexpr"):
        pytest.skip("downloads and takes its time: choose it with -m downstream")
    done = python_m(timeout=1700)
    assert done.returncode == 0, done.stdout + done.stderr
