"""The benchmark of durable receivers runs and cleans up. No test asserts a figure."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from benchmarks.durable.contenders import ALL, CASES
from benchmarks.durable.effort import QUICK
from benchmarks.durable.goals import flatness, goals
from benchmarks.durable.systems import load
from benchmarks.durable.tally import Mark, Tally, read
from benchmarks.samples import Samples, Spread
from tests.processes import LIMIT

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = {
    "ALDIS_BENCH_POSTGRESQL": "postgresql://postgres@127.0.0.1:1/postgres",
    "ALDIS_BENCH_REDIS": "redis://127.0.0.1:1",
}


def command(*arguments):
    """Return the command that a user types."""
    return [sys.executable, "-m", "benchmarks.durable", *map(str, arguments)]


def benchmark(*arguments, **environment):
    """Run the benchmark as a user does."""
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@contextmanager
def start_worker(tmp_path, waiting):
    """Start the worker by hand on a file with so many waiting orders."""
    place, tally = str(tmp_path / "waiting.sqlite"), tmp_path / "tally"
    system = load("bare_sqlite", place, {})
    system.install()
    system.fill(waiting)
    told = {
        "system": "bare_sqlite",
        "place": place,
        "settings": {},
        "tally": str(tally),
        "step": 10,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.durable.worker", json.dumps(told)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + LIMIT
    while not read(tally) and time.monotonic() < deadline:
        time.sleep(0.02)
    with process, closing(system):
        yield process, tally, system


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One quick run without servers: the ended process, and its folders."""
    out = tmp_path_factory.mktemp("durable")
    scratch = tmp_path_factory.mktemp("scratch")
    names = "bare_sqlite,aldis-sqlite,aldis-sqlite-session,celery,bare-postgresql"
    done = benchmark("--quick", "--only", names, "--out", out, TMPDIR=str(scratch), **NOWHERE)
    assert done.returncode == 0, done.stderr
    return done, out, scratch


@pytest.mark.slow
class TestQuickRun:
    def test_writes_a_report_of_every_case(self, run):
        """The report has a section for the goals and for each kind of case."""
        _, out, _ = run
        report = (out / "DURABLE.md").read_text(encoding="utf-8")
        headings = {line for line in report.splitlines() if line.startswith("#")}
        assert headings >= {"## Goals", "## Drain", "## Enqueue", "## Latency", "## Idle"}
        assert "| SQLite |" in report

    def test_measures_aldis_beside_loops_by_hand(self, run):
        """Each system has a figure in each of its cases."""
        _, out, _ = run
        series = json.loads((out / "DURABLE.json").read_text(encoding="utf-8"))["samples"]["series"]
        ours, by_hand = "aldis-sqlite", "bare-sqlite"
        everybody = {ours, f"{ours}-session", by_hand, f"{by_hand}-100"}
        assert {name: {*measured} for name, measured in series.items()} == {
            "enqueue/rate": {ours, by_hand},
            "together/rate": {ours, by_hand},
            "drain/rate": everybody,
            "deep/rate": everybody,
            "latency/p50": {ours},
            "latency/p95": {ours},
            "latency/p99": {ours},
            "idle/cpu_s": {ours},
        }

    def test_names_systems_without_a_server(self, run):
        """A system without its server is left out, and the report names it."""
        _, out, _ = run
        _, _, left_out = (out / "DURABLE.md").read_text(encoding="utf-8").partition("## Left out")
        assert "| Celery | Redis: " in left_out
        assert "| by hand, psycopg, a commit a row | PostgreSQL: " in left_out

    def test_leaves_nothing_behind(self, run):
        """The files of a turn are removed at its end."""
        _, _, scratch = run
        assert list(scratch.iterdir()) == []

    def test_prints_progress_on_standard_error_only(self, run):
        """Standard output stays empty."""
        done, _, _ = run
        assert done.stdout == ""
        assert "round 1 of 1: drain, by hand, sqlite3, a commit a row" in done.stderr

    def test_redraws_from_its_data(self, run):
        """``--redraw`` measures nothing and writes the same report."""
        _, out, _ = run
        before = (out / "DURABLE.md").read_text(encoding="utf-8")
        assert benchmark("--redraw", "--out", out).returncode == 0
        assert (out / "DURABLE.md").read_text(encoding="utf-8") == before


@pytest.mark.slow
class TestEnding:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupted_run_writes_nothing_and_leaves_nothing(self, tmp_path, number):
        """Ctrl-C and SIGTERM end the processes of a turn and remove its files."""
        scratch, out = tmp_path / "scratch", tmp_path / "out"
        scratch.mkdir()
        process = subprocess.Popen(
            command("--only", "bare-sqlite", "--cases", "deep", "--out", out),
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(scratch)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while not list(scratch.glob("*/tally")):
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(number)
            _, told = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
        assert process.returncode == 130
        assert "interrupted; nothing is written" in told
        assert list(scratch.iterdir()) == []
        assert list(out.iterdir()) == []

    def test_a_worker_dies_with_the_benchmark(self, tmp_path):
        """A killed benchmark leaves no running worker."""
        with start_worker(tmp_path, 100_000) as (process, _, _):
            assert process.poll() is None
            process.stdin.close()
            assert process.wait(timeout=LIMIT) == -signal.SIGKILL


class TestWorker:
    def test_a_loop_by_hand_runs_every_order_once_and_marks_it(self, tmp_path):
        """The loop by hand does the work."""
        with start_worker(tmp_path, 200) as (process, tally, system):
            assert process.wait(timeout=LIMIT) == 0
            assert [mark.order_id for mark in read(tally)] == list(range(0, 200, 10))
            assert system.left() == 0

    def test_a_tally_writes_every_so_many_runs(self, tmp_path):
        """A line has the number of runs, the order, and a clock that never goes back."""
        path = tmp_path / "tally"
        tally = Tally(str(path), 3)
        for order_id in range(100, 107):
            tally.receive(order_id)
        marks = read(path)
        assert [(mark.number, mark.order_id) for mark in marks] == [(0, 100), (3, 103), (6, 106)]
        assert sorted(mark.at_ns for mark in marks) == [mark.at_ns for mark in marks]

    def test_a_line_that_is_still_being_written_is_not_read(self, tmp_path):
        """A partial line is ignored."""
        path = tmp_path / "tally"
        path.write_text("0 11 7\n1 1", encoding="ascii")
        assert read(path) == [Mark(0, 11, 7)]


class TestGoals:
    def test_a_goal_compares_with_the_best_settings_of_a_peer(self):
        """The settings with which the peer is faster count."""
        samples = Samples()
        for who, rate in (("aldis-sqlite", 400), ("huey", 80), ("huey-best", 60)):
            samples.add("drain/rate", who, 0, rate)
        found = {goal.work: goal for goal in goals(samples, QUICK)}
        goal = found["Drain, SQLite, as fast as Huey"]
        assert goal.measured == Spread(5, 5, 5)
        assert goal.verdict == "yes"

    def test_a_deep_backlog_is_compared_within_a_round(self):
        """A round that was slow for both does not change the ratio."""
        samples = Samples()
        for at, (ordinary, deep) in enumerate([(100, 95), (10, 9.5)]):
            samples.add("drain/rate", "aldis-sqlite", at, ordinary)
            samples.add("deep/rate", "aldis-sqlite", at, deep)
        assert flatness(samples, "aldis-sqlite") == Spread(0.95, 0.95, 0.95)
        assert flatness(samples, "aldis-postgresql") is None

    def test_without_figures_no_goal_is_decided(self):
        """An empty run neither reaches nor misses a goal."""
        assert {goal.verdict for goal in goals(Samples(), QUICK)} == {"not measured"}


class TestContenders:
    def test_each_has_a_unique_key_and_known_cases(self):
        """Each system has a unique key, and its cases exist."""
        assert len({contender.key for contender in ALL}) == len(ALL)
        assert all(contender.cases <= set(CASES) for contender in ALL)


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path):
    """The error for a typo in ``--only`` lists the names."""
    done = benchmark("--only", "hueyy", "--out", tmp_path)
    assert done.returncode == 2
    assert "hueyy: choose from aldis, aldis-mariadb" in done.stderr
