"""Mapped instances in a payload are loaded before the receiver starts, in a short transaction."""

import asyncio
import sqlite3
import time

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, object_session

import aldis
from aldis.durable import Outbox, Retry, current_delivery, durable
from aldis.durable.types import State
from tests.durable.sql.databases import database
from tests.durable.support import create_tables, rows
from tests.durable.working import is_settled, run_all, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")

ONCE = Retry(attempts=1)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="new")


shop = aldis.Namespace()


@shop.define
def order_shipped(sender: str, /, *, order: Order) -> None:
    """Sent once an order is shipped."""


def prepare(engine):
    """Create the tables, ship an order, and return the outbox."""
    create_tables(engine)
    Base.metadata.create_all(engine)
    outbox = Outbox(engine=engine)
    with Session(engine) as session, outbox.using(session), session.begin():
        order = Order()
        session.add(order)
        session.flush()
        order_shipped.send("harbour", order=order)
    return outbox


def state(engine):
    """Return the state of the order."""
    with Session(engine) as session:
        return session.scalar(select(Order.state))


@pytest.fixture
def impatient(tmp_path):
    """Give the URL of a PostgreSQL database that ends transactions that are idle for 0.1 s."""
    with database("postgresql", tmp_path) as url:
        limit = "-c idle_in_transaction_session_timeout=100"
        yield f"{url}?options={limit.replace(' ', '%20').replace('=', '%3D')}"


@pytest.mark.service
@pytest.mark.parametrize("change", ["instance", "session", "nothing"])
def test_a_receiver_that_works_before_it_writes(impatient, change):
    """Work outside of the database breaks no transaction; writes are committed as always."""

    @order_shipped.connect
    @durable("test.label", retry=ONCE)
    def label(sender, *, order):
        time.sleep(0.3)
        if change == "instance":
            order.state = "labelled"
        elif change == "session":
            current_delivery().session.get(Order, order.id).state = "labelled"

    engine = create_engine(impatient)
    outbox = prepare(engine)
    run_all(outbox)
    assert [State.DONE] == [row.state for row in rows(outbox)]
    assert ("new" if change == "nothing" else "labelled") == state(engine)
    engine.dispose()


@pytest.mark.service
async def test_an_async_receiver_that_works_before_it_writes(impatient):
    """An async receiver, too."""

    @order_shipped.connect
    @durable("test.label", retry=ONCE)
    async def label(sender, *, order):
        await asyncio.sleep(0.3)
        order.state = "labelled"

    engine = create_engine(impatient)
    outbox = prepare(engine)
    async_engine = create_async_engine(impatient)
    with working(Outbox(engine=async_engine)):
        until(lambda: is_settled(outbox))
    await async_engine.dispose()
    assert [State.DONE] == [row.state for row in rows(outbox)]
    assert "labelled" == state(engine)
    engine.dispose()


def test_other_writers_on_sqlite(tmp_path):
    """While a receiver works, another connection can write."""
    file = tmp_path / "shop.db"

    @order_shipped.connect
    @durable("test.label", retry=ONCE)
    def label(sender, *, order):
        other = sqlite3.connect(file, timeout=0)
        other.execute("UPDATE orders SET state = 'labelled'")
        other.commit()
        other.close()

    engine = create_engine(f"sqlite:///{file}")
    outbox = prepare(engine)
    run_all(outbox)
    assert [State.DONE] == [row.state for row in rows(outbox)]
    assert "labelled" == state(engine)
    engine.dispose()


def test_a_receiver_that_commits_the_session_of_the_instance(tmp_path):
    """Its first commit completes the delivery: it is not called again, although it raises."""
    calls = []

    @order_shipped.connect
    @durable("test.label", retry=Retry(attempts=3, first_delay=0.01))
    def label(sender, *, order):
        calls.append(order.id)
        order.state = "labelled"
        object_session(order).commit()
        raise LookupError

    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    outbox = prepare(engine)
    run_all(outbox)
    assert [1] == calls
    assert [State.DONE] == [row.state for row in rows(outbox)]
    assert "labelled" == state(engine)
    engine.dispose()


def test_an_upgrade_that_uses_the_session(tmp_path):
    """The writes of ``upgrade`` are committed together with the completion."""

    def upgrade(payload):
        current_delivery().session.add(Order(state="upgraded"))
        return {"order": payload["item"]}

    @order_shipped.connect
    @durable("test.label", retry=Retry(attempts=2, first_delay=0.01), upgrade=upgrade)
    def label(sender, *, order):
        if current_delivery().attempt == 1:
            raise LookupError

    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    outbox = prepare(engine)
    (row,) = rows(outbox)
    old = row.payload.replace('"order":', '"item":', 1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE aldis_deliveries SET payload = :old"), {"old": old})
    run_all(outbox)
    with Session(engine) as session:
        assert ["new", "upgraded"] == list(session.scalars(select(Order.state).order_by(Order.id)))
    engine.dispose()
