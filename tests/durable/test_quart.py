"""Durable receivers in Quart apps, with async sessions."""

import asyncio

import pytest

pytest.importorskip("quart")

from quart import Quart, current_app, has_app_context
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import NullPool

from aldis.durable import Outbox, current_delivery, durable
from aldis.errors import NoSessionError, OutboxError
from aldis.quart import Aldis
from aldis.testing import adrain, drain
from tests.durable import support
from tests.durable.support import notes, order_paid
from tests.durable.working import until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")


class Shop:
    """An app with an async database and an outbox."""

    def __init__(self, engine):
        self.engine = engine
        self.sessions = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        self.app = Quart("shop")
        self.outbox = Outbox(self.sessions)
        Aldis(self.app, outbox=self.outbox)

        @self.app.post("/pay/<int:order_id>")
        async def pay(order_id):
            async with self.sessions() as session, session.begin():
                await session.execute(notes.insert().values(text=f"order {order_id}"))
                order_paid.send("harbour", order_id=order_id)
                if order_id == 13:
                    return "no luck", await self.back_out(session)
            return "paid"

        @self.app.teardown_appcontext
        async def remove(error):
            await self.sessions.remove()

    async def back_out(self, session):
        """Roll back, and return a status."""
        await session.rollback()
        return 409

    async def written(self):
        """Return the notes."""
        async with self.engine.connect() as connection:
            return list(await connection.scalars(select(notes.c.text).order_by(notes.c.id)))


@pytest.fixture
def shop(async_engine):
    """Provide a shop on each database with an async driver."""
    return Shop(async_engine)


@pytest.fixture
def receipt():
    """Provide an async receiver that writes through its session."""

    @order_paid.connect
    @durable("billing.receipt")
    async def receipt(sender, *, order_id, **extra):
        session = current_delivery().session
        assert isinstance(session, (AsyncSession, async_scoped_session))
        await session.execute(notes.insert().values(text=f"{current_app.name} {order_id}"))

    return receipt


async def test_a_request_and_its_delivery(shop, receipt):
    """A delivery is recorded with the order, and runs in the app's context."""
    client = shop.app.test_client()
    assert 200 == (await client.post("/pay/7")).status_code
    assert ["order 7"] == await shop.written()
    assert 1 == (await adrain(app=shop.app)).done
    assert ["order 7", "shop 7"] == await shop.written()
    assert not has_app_context()


async def test_a_request_that_is_rolled_back(shop, receipt):
    """A rollback removes the order and the delivery."""
    client = shop.app.test_client()
    assert 409 == (await client.post("/pay/13")).status_code
    assert 0 == (await adrain(app=shop.app)).attempts
    assert [] == await shop.written()


async def test_the_current_app(shop, receipt):
    """``adrain`` uses the current app."""
    await shop.app.test_client().post("/pay/7")
    async with shop.app.app_context():
        assert 1 == (await adrain()).done


async def test_a_sync_receiver(shop):
    """A sync receiver runs in a thread and cannot use the async session."""
    seen = []

    @order_paid.connect
    @durable("billing.sync")
    def sync(sender, *, order_id, **extra):
        seen.append((current_app.name, order_id))
        with pytest.raises(NoSessionError, match="the outbox has async sessions"):
            _ = current_delivery().session

    await shop.app.test_client().post("/pay/7")
    assert 1 == (await adrain(app=shop.app)).done
    assert [("shop", 7)] == seen


async def test_the_worker(shop, receipt):
    """A worker in a separate event loop delivers, too."""
    client = shop.app.test_client()
    options = {"app": shop.app, "context": shop.app.app_context}
    # An engine is for one event loop, and the worker has another. Two that are careful may share it
    # once its first connection is made, over which SQLAlchemy keeps a lock of asyncio's.
    assert [] == await shop.written()
    with working(shop.outbox, **options):
        for order_id in (7, 8):
            await client.post(f"/pay/{order_id}")
        await asyncio.to_thread(until, lambda: len(asyncio.run(count(shop))) == 4)
    assert {"order 7", "order 8", "shop 7", "shop 8"} == {*await shop.written()}


async def count(shop):
    """Return the notes, with an engine of this event loop."""
    engine = create_async_engine(shop.engine.url, poolclass=NullPool)
    if engine.dialect.name == "postgresql":
        return await shop.written()
    async with engine.connect() as connection:
        return list(await connection.scalars(select(notes.c.text)))


async def test_a_failure_is_rolled_back(shop):
    """The writes of a failed async receiver are rolled back, and it is retried."""
    attempts = []

    @order_paid.connect
    @durable("billing.receipt")
    async def receipt(sender, *, order_id, **extra):
        session = current_delivery().session
        attempts.append(current_delivery().attempt)
        await session.execute(notes.insert().values(text=f"attempt {attempts[-1]}"))
        if attempts == [1]:
            raise ConnectionError

    await shop.app.test_client().post("/pay/7")
    ran = await adrain(app=shop.app, later=True, raise_errors=False)
    assert (1, 1) == (ran.done, ran.failed)
    assert ["order 7", "attempt 2"] == await shop.written()


async def test_sends_inside_a_receiver(shop):
    """The sends of a receiver are in its transaction."""

    @order_paid.connect
    @durable("billing.pass_on")
    async def pass_on(sender, *, order_id, **extra):
        session = current_delivery().session
        await session.execute(select(func.count()).select_from(notes))
        support.receipt_sent.send(sender, order_id=order_id)

    @support.receipt_sent.connect
    @durable("billing.archive")
    async def archive(sender, *, order_id, **extra):
        await current_delivery().session.execute(notes.insert().values(text="archived"))

    await shop.app.test_client().post("/pay/7")
    assert 2 == (await adrain(app=shop.app)).done
    assert ["order 7", "archived"] == await shop.written()


def test_a_second_extension(tmp_path):
    """A second outbox for one app is refused."""
    shop = Shop(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}"))
    with pytest.raises(OutboxError, match="has an extension aldis already, with another outbox"):
        Aldis(shop.app, outbox=Outbox(shop.sessions))


def test_drain_makes_a_loop(tmp_path, receipt):
    """In a sync test, ``drain`` works with a Quart app."""
    with support.sqlite(tmp_path / "shop.db"):
        url = f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}"
        shop = Shop(create_async_engine(url, poolclass=NullPool))
        asyncio.run(pay(shop))
        assert 1 == drain(app=shop.app).done
        assert ["order 7", "shop 7"] == asyncio.run(shop.written())


async def pay(shop):
    """Pay an order."""
    await shop.app.test_client().post("/pay/7")
