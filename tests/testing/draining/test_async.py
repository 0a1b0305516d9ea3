"""Draining async receivers, in the test's event loop and without one."""

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, StaticPool

from aldis.durable import Outbox, current_delivery, durable
from aldis.errors import AsyncReceiverError, OutboxError
from aldis.testing import adrain, drain
from tests.durable import support
from tests.durable.support import notes, order_paid, write, written
from tests.testing.draining.sending import send

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestAdrain:
    async def test_runs_in_the_tests_loop(self, outbox, session, engine, receipt):
        """Async receivers run in the test's event loop, and sync receivers in a thread."""
        loops = []

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, *, order_id, **extra):
            await asyncio.sleep(0)
            write(current_delivery().session, f"waited for {order_id}")
            loops.append(asyncio.get_running_loop())

        send(outbox, session, 7)

        assert 2 == (await adrain(outbox)).done
        assert [asyncio.get_running_loop()] == loops
        assert {"harbour 7", "waited for 7"} == set(written(engine))

    async def test_an_async_database(self, tmp_path):
        """With an async engine, receivers get an AsyncSession."""
        with support.sqlite(tmp_path / "shop.db") as engine:
            await self.check_async(f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}")
            assert ["async 7"] == written(engine)

    async def check_async(self, url):
        """Send in an AsyncSession and deliver."""
        engine = create_async_engine(url)
        sessions = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        outbox = Outbox(sessions)

        @order_paid.connect
        @durable("billing.receipt", delay=60)
        async def receipt(sender, *, order_id, **extra):
            session = current_delivery().session
            assert isinstance(session, AsyncSession)
            assert session is not theirs
            await session.execute(notes.insert().values(text=f"async {order_id}"))

        theirs = sessions()
        async with theirs as session, session.begin():
            with outbox.using():
                order_paid.send("harbour", order_id=7)
        assert 0 == (await adrain(outbox)).attempts
        assert 1 == (await adrain(outbox, later=True)).done
        await engine.dispose()

    async def test_an_async_database_in_memory(self):
        """An open transaction on the only connection raises an error."""
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        outbox = Outbox(engine=engine)
        heard = []

        @order_paid.connect
        @durable("billing.receipt")
        async def receipt(sender, *, order_id, **extra):
            heard.append(order_id)

        async with engine.begin() as connection:
            await connection.run_sync(support.create_tables)
        async with AsyncSession(engine) as session:
            with outbox.using(session):
                async with session.begin():
                    order_paid.send("harbour", order_id=7)
                    await session.execute(select(notes))
                    with pytest.raises(OutboxError, match="has one connection only"):
                        await adrain(outbox)
        assert 1 == (await adrain(outbox)).done
        assert [7] == heard
        await engine.dispose()

    async def test_errors_are_raised(self, outbox, session):
        """``adrain`` raises the receivers' errors in a group."""

        @order_paid.connect
        @durable("billing.broken")
        async def broken(sender, **extra):
            raise LookupError

        send(outbox, session, 7)
        with pytest.raises(ExceptionGroup, match="an attempt at durable deliveries failed"):
            await adrain(outbox)

    async def test_drain_refuses_what_is_async(self, outbox):
        """In an event loop, ``drain`` names ``adrain``."""

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, **extra): ...

        with pytest.raises(AsyncReceiverError, match=r"use await adrain\(\) instead of drain\(\)"):
            drain(outbox)

    async def test_drain_does_for_what_is_sync(self, outbox, session, receipt):
        """In an event loop, ``drain`` works if all receivers are sync."""
        send(outbox, session, 7)
        assert 1 == drain(outbox, receivers=["billing.receipt"]).done


class TestDrainOfAsyncReceivers:
    def test_makes_a_loop(self, outbox, session):
        """In a sync test, ``drain`` runs async receivers."""
        heard = []

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, *, order_id, **extra):
            await asyncio.sleep(0)
            heard.append(order_id)

        send(outbox, session, 7)
        assert 1 == drain(outbox).done
        assert [7] == heard

    def test_on_an_async_database(self, tmp_path):
        """In a sync test, ``drain`` works on an async engine without a pool."""
        heard = []
        url = f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}"
        outbox = Outbox(engine=create_async_engine(url, poolclass=NullPool))

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, *, order_id, **extra):
            heard.append(order_id)

        with support.sqlite(tmp_path / "shop.db") as engine:
            recording = Outbox(engine=engine)
            with Session(engine) as session, session.begin(), recording.using(session):
                order_paid.send("harbour", order_id=7)
            assert 1 == drain(outbox).done
        assert [7] == heard
