"""No process outlives the tests, however pytest ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from tests.processes import VARIABLE, processes_of

ROOT = Path(__file__).parents[1]

#: Seconds until all processes must have ended.
LIMIT = 60

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="there is no /proc here"
)

SHOP = """
    import time
    from pathlib import Path
    from aldis import Namespace
    from aldis.durable import Outbox, durable
    from aldis.durable.store.sql.migrate import upgrade
    from sqlalchemy import create_engine

    signals = Namespace()

    @signals.define
    def order_paid(sender: str, /) -> None: ...

    engine = create_engine("sqlite:///shop.db")
    upgrade(engine)
    outbox = Outbox(engine=engine)

    @order_paid.connect
    @durable("billing.receipt")
    def receipt(sender, **extra):
        Path("receiving").touch()
        time.sleep(600)

    with engine.begin() as connection, outbox.using(connection):
        order_paid.send("harbour")
    """

#: A worker whose receiver does not return, started by a process that does not wait for it.
TEST = """
    import os, subprocess, sys, time
    from pathlib import Path

    def test_a_worker_at_work():
        command = [sys.executable, "-m", "aldis", "worker", "--outbox", "shop:outbox"]
        between = f"import subprocess; subprocess.Popen({command!r}, start_new_session=True)"
        subprocess.run([sys.executable, "-I", "-S", "-c", between], check=True)
        while not Path("receiving").exists():
            time.sleep(0.02)
        Path("ready").write_text(os.environ["%s"])
        time.sleep(%s)
    """


def start_pytest(folder, seconds):
    """Run pytest on a test that leaves a worker behind, after these seconds."""
    (folder / "shop.py").write_text(dedent(SHOP))
    (folder / "test_worker.py").write_text(dedent(TEST % (VARIABLE, seconds)))
    options = ["-p", "no:cacheprovider", "-p", "tests.conftest", "--rootdir", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-c", os.devnull, *options, "test_worker.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_pytest_leaves_no_process(tmp_path, number):
    """A working worker that another process started ends with pytest."""
    process = start_pytest(tmp_path, 600)
    try:
        wait_for((tmp_path / "ready").exists)
        run = (tmp_path / "ready").read_text()
        assert len(processes_of(run)) == 1
        process.send_signal(number)
        process.communicate(timeout=LIMIT)
        wait_for(lambda: processes_of(run) == [])
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_process_that_is_left_is_a_failure(tmp_path):
    """A run whose tests pass fails if one of them leaves a process, and names it."""
    process = start_pytest(tmp_path, 0)
    try:
        printed, _ = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.communicate()
    assert "1 passed" in printed
    assert "processes that tests left running" in printed
    assert "-m aldis worker --outbox shop:outbox" in printed
    assert process.returncode == pytest.ExitCode.TESTS_FAILED
    assert processes_of((tmp_path / "ready").read_text()) == []


def wait_for(condition):
    """Wait until the condition is true."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
