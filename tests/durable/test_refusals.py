"""The database refuses to record a delivery: the error is clear, and nothing is half done."""

import sqlite3

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from aldis.durable import Outbox
from aldis.errors import OutboxError, SchemaError
from tests.durable import support
from tests.durable.support import order_paid, rows, write, written

pytestmark = pytest.mark.usefixtures("receipt")


def pay(engine):
    """Write an order and send, in one transaction."""
    outbox = Outbox(engine=engine)
    with Session(engine) as session, outbox.using(session), session.begin():
        write(session, "order 7")
        order_paid.send("harbour" * 1000, order_id=7)


def nothing_is_there(file):
    """Tell whether neither the order nor the delivery has been recorded."""
    engine = create_engine(f"sqlite:///{file}")
    try:
        return ([], []) == (written(engine), rows(Outbox(engine=engine)))
    finally:
        engine.dispose()


def test_a_full_database(file):
    """The commit fails because the database is full; with more room, it succeeds."""
    engine = create_engine(f"sqlite:///{file}")
    room = 1

    @event.listens_for(engine, "connect")
    def limit(raw, record):
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        raw.execute(f"PRAGMA max_page_count = {pages * room}")

    with pytest.raises(OutboxError, match="the outbox's database is full"):
        pay(engine)
    engine.dispose()
    assert nothing_is_there(file)
    room = 100
    pay(engine)
    assert (["order 7"], 1) == (written(engine), len(rows(Outbox(engine=engine))))
    engine.dispose()


def test_a_read_only_database(file):
    """A send without a transaction fails because the database is read-only."""
    engine = create_engine(f"sqlite:///file:{file}?mode=ro&uri=true")
    outbox = Outbox(engine=engine)
    with (
        Session(engine) as session,
        outbox.using(session),
        pytest.raises(OutboxError, match="is read-only"),
    ):
        order_paid.send("harbour", order_id=7)
    engine.dispose()
    assert nothing_is_there(file)


def test_a_locked_database(file):
    """The error of a locked database names three remedies."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.05})
    outbox = Outbox(engine=engine)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with (
        Session(engine) as session,
        outbox.using(session),
        pytest.raises(OutboxError, match=r"locked by another connection.*Outbox\(immediate=True\)"),
    ):
        order_paid.send("harbour", order_id=7)
    other.execute("ROLLBACK")
    other.close()
    engine.dispose()
    assert nothing_is_there(file)


def test_a_database_without_the_tables(tmp_path):
    """The commit fails with the command that creates the tables, and is rolled back."""
    engine = create_engine(f"sqlite:///{tmp_path / 'new.db'}")
    support.notes.metadata.create_all(engine)
    with pytest.raises(SchemaError, match="create them with 'aldis db upgrade'"):
        pay(engine)
    assert [] == written(engine)
    engine.dispose()
