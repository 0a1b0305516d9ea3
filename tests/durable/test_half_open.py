"""A network that drops packets: the worker notices, reconnects, and ends in time."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from aldis.durable import Outbox, Retry, current_delivery, durable
from aldis.durable.types import State
from tests.durable.kill.proxy import Proxy
from tests.durable.sql.databases import database
from tests.durable.support import create_tables, order_paid, rows, write, written
from tests.durable.working import LIMIT, send, until, working

pytestmark = [
    pytest.mark.service,
    pytest.mark.slow,
    pytest.mark.usefixtures("dropped_connections", "aldis_clean"),
]

#: Seconds. The worker notices a connection without an answer after two of them.
LEASE = 3

AGAIN = Retry(attempts=20, first_delay=0.05, max_delay=0.2)


@pytest.fixture(params=["postgresql", "mariadb"])
def network(request, tmp_path):
    """Give a proxy in front of a database, the URL through it, and the direct URL."""
    with database(request.param, tmp_path) as url:
        engine = create_engine(url, poolclass=NullPool)
        create_tables(engine)
        with Proxy(make_url(url).port) as proxy:
            yield proxy, make_url(url).set(port=proxy.port), engine


def is_done(outbox, count):
    """Tell whether ``count`` deliveries are done."""
    return lambda: len(rows(outbox, State.DONE)) == count


@pytest.mark.parametrize("uses_session", [False, True], ids=["plain", "session"])
def test_a_worker_reconnects(network, uses_session, caplog):
    """Deliveries run again soon after the packets of all connections were dropped."""
    proxy, url, direct = network

    @order_paid.connect
    @durable("test.receipt", retry=AGAIN)
    def receipt(sender, *, order_id, **extra):
        if uses_session:
            write(current_delivery().session, str(order_id))

    engine = create_engine(url)
    sending = Outbox(engine=direct)
    with working(Outbox(engine=engine), lease=LEASE):
        send(sending, *range(1, 9))
        until(is_done(sending, 8))
        proxy.drop()
        send(sending, 9, 10)
        until(is_done(sending, 10))
    if uses_session:
        assert [*range(1, 11)] == sorted(map(int, written(direct)))
    assert "the database does not answer" in caplog.text
    engine.dispose()


def test_receivers_that_wait_for_the_database(network):
    """Receivers in the middle of a statement get the error of a lost connection."""
    proxy, url, direct = network
    started = []

    @order_paid.connect
    @durable("test.receipt", retry=AGAIN)
    def receipt(sender, *, order_id, **extra):
        session = current_delivery().session
        session.execute(text("SELECT 1"))
        started.append(order_id)
        until(lambda: len(started) >= 4)
        if len(started) == 4:
            time.sleep(0.5)  # until the packets are dropped
        write(session, str(order_id))

    engine = create_engine(url)
    sending = Outbox(engine=direct)
    with working(Outbox(engine=engine), lease=LEASE, concurrency=4):
        send(sending, 1, 2, 3, 4)
        until(lambda: len(started) == 4)
        proxy.drop()
        until(is_done(sending, 4))
    assert ["1", "2", "3", "4"] == sorted(written(direct))
    engine.dispose()


def test_the_end_of_a_worker_on_a_dead_network(network):
    """A worker whose connections are dropped ends soon after its grace period."""
    proxy, url, direct = network

    @order_paid.connect
    @durable("test.receipt")
    def receipt(sender, **extra): ...

    engine = create_engine(url)
    sending = Outbox(engine=direct)
    with working(Outbox(engine=engine), lease=600, grace=1):
        send(sending, 1)
        until(is_done(sending, 1))
        proxy.drop()
        send(sending, 2)
        time.sleep(0.5)
    engine.dispose()  # working() fails if the worker does not end


async def test_an_async_engine(tmp_path):
    """A worker on an async engine reconnects, too."""
    with database("postgresql", tmp_path) as url:
        direct = create_engine(url, poolclass=NullPool)
        create_tables(direct)

        @order_paid.connect
        @durable("test.receipt", retry=AGAIN)
        async def receipt(sender, *, order_id, **extra):
            write_note = text("INSERT INTO notes (text) VALUES (:text)")
            await current_delivery().async_session.execute(write_note, {"text": str(order_id)})

        sending = Outbox(engine=direct)
        with Proxy(make_url(url).port) as proxy:
            engine = create_async_engine(make_url(url).set(port=proxy.port))
            with working(Outbox(engine=engine), lease=LEASE):
                send(sending, *range(1, 9))
                until(is_done(sending, 8))
                proxy.drop()
                send(sending, 9, 10)
                until(is_done(sending, 10))
            await engine.dispose()
        assert [*range(1, 11)] == sorted(map(int, written(direct)))


APP = """
from sqlalchemy import create_engine
from aldis.durable import Outbox, durable
from tests.durable.support import order_paid

outbox = Outbox(engine=create_engine({url!r}))

@order_paid.connect
@durable("test.receipt")
def receipt(sender, **extra): ...
"""


@pytest.mark.parametrize("drops", ["present", "all"])
def test_the_end_of_the_process(network, tmp_path, drops):
    """``aldis worker`` ends after SIGTERM, also if even new connections get no answer."""
    proxy, url, _ = network
    (tmp_path / "shop.py").write_text(APP.format(url=url.render_as_string(hide_password=False)))
    aldis = Path(sys.executable).with_name("aldis")
    worker = subprocess.Popen(
        [aldis, "worker", "--outbox", "shop:outbox", "--grace", "1s"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while "at a time" not in (line := worker.stderr.readline()):
            assert line
        with proxy.stalling() if drops == "all" else nullcontext():
            proxy.drop()
            time.sleep(0.5)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(LIMIT) == 0
    finally:
        worker.kill()
        worker.communicate()
