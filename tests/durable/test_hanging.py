"""Receivers that hang: the worker logs where, and renews its lease meanwhile."""

import asyncio
import time
from threading import Event

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from aldis.durable import Outbox, Retry, durable
from aldis.durable.types import State
from tests.durable.sql.databases import database
from tests.durable.support import create_tables, order_paid, rows
from tests.durable.working import send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")


@pytest.fixture
def impatient(monkeypatch):
    """Log a receiver that runs for a moment."""
    monkeypatch.setattr("aldis.durable.worker.watchdog.LONG", 0.2)
    monkeypatch.setattr("aldis.durable.worker.watchdog.LOOK_EVERY", 0.05)


def test_a_thread_that_hangs(outbox, impatient, caplog):
    """The log has the stack of the receiver's thread."""
    release = Event()

    @order_paid.connect
    @durable("test.hanging")
    def wait_for_ever(sender, **extra):
        release.wait(20)

    with working(outbox):
        send(outbox, 7)
        until(lambda: "durable receiver test.hanging has been running for" in caplog.text)
        release.set()
    assert ", in wait_for_ever" in caplog.text


@pytest.mark.parametrize("blocks_the_loop", [False, True])
def test_a_task_that_hangs(outbox, impatient, caplog, blocks_the_loop):
    """The log has the stack of the receiver's task, or of the thread whose loop it blocks."""
    released = []

    @order_paid.connect
    @durable("test.hanging", timeout=0.01 if blocks_the_loop else None)
    async def wait_for_ever(sender, **extra):
        while not released:
            if blocks_the_loop:
                time.sleep(0.01)  # noqa: ASYNC251 - it blocks the loop
            else:
                await asyncio.sleep(0.01)

    with working(outbox):
        send(outbox, 7)
        until(lambda: "durable receiver test.hanging has been running for" in caplog.text)
        released.append(True)
    assert ", in wait_for_ever" in caplog.text


@pytest.mark.service
@pytest.mark.slow
async def test_a_blocked_loop_keeps_its_lease(tmp_path):
    """An async receiver that blocks the loop for longer than the lease is called once."""
    calls = []

    @order_paid.connect
    @durable("test.blocking", retry=Retry(attempts=3, first_delay=0.01))
    async def blocking(sender, *, order_id, **extra):
        calls.append(order_id)
        time.sleep(4)  # noqa: ASYNC251 - it blocks the loop

    with database("postgresql", tmp_path) as url:
        engine, async_engine = create_engine(url), create_async_engine(url)
        create_tables(engine)
        outbox = Outbox(engine=engine)
        with working(Outbox(engine=async_engine), lease=1):
            send(outbox, 7)
            until(lambda: calls)
            with working(outbox, lease=1):  # it takes the deliveries of lost workers
                until(lambda: rows(outbox, State.DONE))
        assert [0] == [row.lost_workers for row in rows(outbox)]
        await async_engine.dispose()
        engine.dispose()
    assert [7] == calls
