"""A real PgBouncer in transaction mode between the application and PostgreSQL."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from aldis.durable import Outbox, Retry, current_delivery, durable
from aldis.durable.types import State
from tests.durable import support
from tests.durable.sql.databases import database
from tests.durable.support import order_paid, rows, write, written
from tests.durable.working import run_all, send, until, working

pytestmark = [
    pytest.mark.usefixtures("aldis_clean"),
    pytest.mark.service,
    pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="PgBouncer is not installed"),
]

CONFIG = """
[databases]
* = host={host} port={port} user={user}{password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
server_reset_query =
"""


@pytest.fixture
def bounced(tmp_path):
    """Give the URL of a new database, through PgBouncer."""
    with database("postgresql", tmp_path) as address:
        url = make_url(address)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder = Path(tempfile.mkdtemp())  # PgBouncer, as another user, must be able to read it
        folder.chmod(0o755)
        config = folder / "pgbouncer.ini"
        config.write_text(
            CONFIG.format(
                host=url.host,
                port=url.port or 5432,
                user=url.username,
                password=f" password={url.password}" if url.password else "",
                own_port=port,
            )
        )
        config.chmod(0o644)
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = ["pgbouncer", "-q", *as_user, str(config)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            wait_for_port(port, process)
            yield url.set(host="127.0.0.1", port=port)
        finally:
            process.terminate()
            process.wait(20)
            process.stderr.close()
            shutil.rmtree(folder)


def wait_for_port(port, process):
    """Wait until PgBouncer answers."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(port)


def test_deliveries_arrive_once(bounced):
    """Without prepared statements and NOTIFY, workers deliver through PgBouncer."""
    engine = create_engine(bounced, poolclass=NullPool, connect_args={"prepare_threshold": None})
    support.create_tables(engine)
    outbox = Outbox(engine=engine, notify=False)

    @order_paid.connect
    @durable("test.receipt", retry=Retry(attempts=3, first_delay=0.01))
    def receipt(sender, *, order_id):
        write(current_delivery().session, str(order_id))
        if current_delivery().attempt == 1 and order_id % 10 == 0:
            raise ConnectionError

    for number in range(40):
        send(outbox, number)
    worker = run_all(outbox, concurrency=4)
    assert 40 == len(rows(outbox, State.DONE))
    assert {str(number) for number in range(40)} == set(written(engine))
    assert 40 == len(written(engine))
    assert (40, 4) == (worker.done, worker.failed)


def test_a_worker_polls(bounced, monkeypatch):
    """With ``notify=False``, a worker does not wait for notifications that never come."""
    monkeypatch.setattr("aldis.durable.store.sql.notify.POLL_ANYWAY", 600.0)
    monkeypatch.setattr("aldis.durable.worker.worker.RESCUE_EVERY", 600.0)
    monkeypatch.setattr("aldis.durable.worker.worker.CHECK_EVERY", 600.0)
    engine = create_engine(bounced, poolclass=NullPool, connect_args={"prepare_threshold": None})
    support.create_tables(engine)
    received = []

    @order_paid.connect
    @durable("test.receipt")
    def receipt(sender, *, order_id):
        received.append(order_id)

    other = Outbox(engine=create_engine(engine.url, poolclass=NullPool), notify=False)
    with working(Outbox(engine=engine, notify=False)):
        for number in range(3):
            send(other, number)
            until(lambda number=number: number in received)
