"""Databases, signals and helpers for the tests of durable receivers."""

from contextlib import contextmanager

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.pool import StaticPool

import aldis
from aldis.durable import Outbox, tables
from aldis.durable.types import DeliveryFilter, State

metadata = MetaData()

#: A table of the application, in which receivers write.
notes = Table(
    "notes", metadata, Column("id", Integer, primary_key=True), Column("text", String(200))
)

shop = aldis.Namespace()


@shop.define
def order_paid(sender: str, /, *, order_id: int) -> None:
    """Sent once an order is paid."""


@shop.define
def receipt_sent(sender: str, /, *, order_id: int) -> None:
    """Sent once a customer has the receipt."""


def create_tables(engine, prefix="aldis_"):
    """Create the tables of an outbox and of the application."""
    ours = MetaData()
    tables(ours, prefix)
    ours.create_all(engine)
    metadata.create_all(engine)


@contextmanager
def sqlite(path):
    """Give an engine on a new SQLite file with the tables."""
    engine = create_engine(f"sqlite:///{path}")
    create_tables(engine)
    yield engine
    engine.dispose()


@contextmanager
def in_memory():
    """Give an engine with the tables on one connection to a database in memory."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    create_tables(engine)
    yield engine
    engine.dispose()


def write(session, text):
    """Write a note in the session's transaction."""
    session.execute(insert(notes).values(text=text))


def written(engine):
    """Return the committed notes."""
    with engine.connect() as connection:
        return list(connection.scalars(select(notes.c.text).order_by(notes.c.id)))


def rows(outbox, *states, **choice):
    """Return the deliveries of an outbox."""
    return outbox.store.find(DeliveryFilter(states=states or None, **choice), limit=1000)


def counts(outbox):
    """Return the number of deliveries in each state."""
    found = [row.state for row in rows(outbox)]
    return {state.label: found.count(state) for state in State if state in found}


def outbox_on(engine):
    """Return an outbox without a session."""
    return Outbox(engine=engine)
