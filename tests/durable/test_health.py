"""A worker reports that it is alive only as long as it can claim deliveries."""

import socket
import sqlite3
import time

import pytest
from sqlalchemy import create_engine

from aldis.durable import Outbox
from tests.durable.working import until, working

pytestmark = pytest.mark.usefixtures("receipt")


@pytest.fixture
def prompt(monkeypatch):
    """Report often, and count a worker as alive for a moment only."""
    monkeypatch.setattr("aldis.durable.worker.health.REPORT_EVERY", 0.02)
    monkeypatch.setattr("aldis.durable.worker.watchdog.LOOK_EVERY", 0.02)
    monkeypatch.setattr("aldis.durable.worker.worker.CHECK_EVERY", 0.05)
    monkeypatch.setattr("aldis.durable.worker.worker.ALIVE_FOR", 0.5)


def age(file):
    """Return the age of a file in seconds; that of a missing file is infinite."""
    return time.time() - file.stat().st_mtime if file.exists() else float("inf")


def test_a_file(outbox, file, tmp_path, prompt):
    """The file gets old while the database is locked, is touched after that, and then deleted."""
    health = tmp_path / "health"
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.05})
    other = sqlite3.connect(file, isolation_level=None)
    with working(Outbox(engine=engine), health_file=health):
        until(lambda: age(health) < 0.2)
        other.execute("BEGIN EXCLUSIVE")
        until(lambda: 0.7 < age(health) < float("inf"))
        other.execute("ROLLBACK")
        until(lambda: age(health) < 0.2)
    assert not health.exists()
    other.close()
    engine.dispose()


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd(outbox, tmp_path, monkeypatch, prompt, is_abstract):
    """Systemd hears that the worker is ready, that it is alive, and that it stops."""
    name = f"aldis-{tmp_path.name}-{id(outbox)}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if is_abstract else name)
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if is_abstract else name)
        with working(outbox, sd_notify=True):
            received = [systemd.recv(100).decode() for _ in range(3)]
        while received[-1] == "WATCHDOG=1":
            received.append(systemd.recv(100).decode())
    assert ["READY=1\nWATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"] == received[:3]
    assert "STOPPING=1" == received[-1]


def test_a_file_that_cannot_be_written(outbox, tmp_path, prompt, caplog):
    """The worker logs it and goes on."""
    with working(outbox, health_file=tmp_path / "missing" / "health"):
        until(lambda: "cannot be touched" in caplog.text)
