"""Random rows in the table do not stop a worker."""

import logging
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, select, text
from sqlalchemy.types import NullType

from aldis.durable import Outbox, durable
from aldis.durable.types import DeliveryFilter, State
from tests.durable.support import create_tables, order_paid
from tests.durable.working import SOON, send, until, working

pytestmark = pytest.mark.slow

NAMES = ("fuzz.receipt", "fuzz.parcel")

#: The columns without types, so that SQLAlchemy does not convert the values.
COLUMNS = (
    *("emission_id", "receiver", "signal", "payload", "order_key", "state", "created_at", "due_at"),
    *("finished_at", "attempts", "lost", "worker", "reason", "traceback", "cause", "traceparent"),
)
untyped = Table(
    "aldis_deliveries",
    MetaData(),
    Column("id", Integer, primary_key=True),
    *(Column(name, NullType()) for name in COLUMNS),
)

GOOD = {
    "emission_id": "0" * 32,
    "receiver": NAMES[0],
    "signal": "order_paid",
    "payload": '{"sender":"harbour","payload":{"order_id":7}}',
    "state": int(State.PENDING),
    "created_at": 0,
    "due_at": 0,
    "attempts": 0,
    "lost": 0,
}

EDGES = (0, 1, -1, 6, 7, 99, 2**31 - 1, 2**31, -(2**31), 2**53, 2**63 - 1, -(2**63))
integers = st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1)
texts = st.sampled_from(
    ["", "\0", "a\0b", "x" * 70_000, "'; DROP TABLE aldis_deliveries; --", "..\\..\\", "\u202e"]
) | st.text(st.characters(codec="utf-8"), max_size=40)
odd = integers | texts | st.binary(max_size=12) | st.floats(allow_nan=False)
receivers = st.sampled_from([*NAMES, *NAMES, "unknown", "FUZZ.RECEIPT", "os.system"]) | odd
payloads = st.sampled_from(
    [GOOD["payload"], "null", "[]", "[" * 5_000, '{"sender":null,"payload":{}}', "\x80\x04K\x01."]
)


def column(usual, *, empty=True):
    """Return a strategy for a column: usually valid values, otherwise any value."""
    return usual | odd | st.none() if empty else usual | odd


hostile = st.fixed_dictionaries(
    {},
    optional={
        "emission_id": column(texts, empty=False),
        "receiver": receivers,
        "signal": column(st.sampled_from(["order_paid", "no_such_signal"]), empty=False),
        "payload": column(payloads, empty=False),
        "order_key": column(st.sampled_from(["a", "b"])),
        "state": column(st.sampled_from([0, 6, 4, 99, -1]), empty=False),
        "created_at": column(integers, empty=False),
        "due_at": column(st.just(0), empty=False),
        "finished_at": column(integers),
        "attempts": column(integers, empty=False),
        "lost": column(integers, empty=False),
        "worker": column(texts),
        "reason": column(texts),
        "traceback": column(texts),
        "cause": column(texts),
        "traceparent": column(texts),
    },
)


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Keep the tracebacks of many dead letters out of the report."""
    caplog.set_level(logging.CRITICAL, "aldis")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Give an outbox on an SQLite file, and the arguments that its receivers got."""
    got = []

    @durable("fuzz.receipt", retry=SOON)
    def receipt(sender: str, *, order_id: int, **extra):
        got.append(order_id)

    def parity(sender, *, order_id, **extra):
        """Return a key that no hostile row has, because its dead letter would block the key."""
        return f"parity {order_id % 2}"

    @durable("fuzz.parcel", retry=SOON, key=parity)
    def parcel(sender: str, *, order_id: int, **extra):
        got.append(-order_id)

    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/fuzz.db")
    create_tables(engine)
    with order_paid.connected_to(receipt), order_paid.connected_to(parcel):
        yield Outbox(engine=engine), got
    engine.dispose()


@contextmanager
def only_rows(outbox, found):
    """Replace the rows of the table with these rows."""
    with outbox.engine.begin() as connection:
        connection.execute(text("DELETE FROM aldis_deliveries"))
        for row in found:
            connection.execute(insert(untyped).values({**GOOD, **row}))
    yield
    with outbox.engine.begin() as connection:
        connection.execute(text("DELETE FROM aldis_paused"))


@settings(max_examples=60)
@given(found=st.lists(hostile, min_size=1, max_size=12))
@example(found=[{"attempts": 2**63 - 1}])
@example(found=[{"attempts": 2**31 - 1, "payload": "null"}])
@example(found=[{"attempts": "many"}])
@example(found=[{"attempts": -(2**63), "payload": "null"}])
@example(found=[{"lost": "often", "payload": "null"}])
@example(found=[{"payload": b"\x80\x04K\x01."}])
@example(found=[{"payload": 5}])
@example(found=[{"signal": b"order_paid"}])
@example(found=[{"emission_id": 7}])
@example(found=[{"order_key": 7}])
@example(found=[{"state": 99}, {"state": "0"}, {"state": -1}])
@example(found=[{"due_at": -(2**63)}, {"due_at": "soon"}, {"due_at": 2**63 - 1}])
@example(found=[{"state": 1, "worker": "\0"}, {"state": 1, "lost": 2**63 - 1}])
@example(found=[{"receiver": NAMES[1], "order_key": "a", "attempts": "x"}])
def test_hostile_rows(served, found):
    """Other deliveries run, and each due row that is unreadable becomes a dead letter."""
    outbox, got = served
    got.clear()
    with only_rows(outbox, found), working(outbox, concurrency=2, lease=5):
        send(outbox, 1001, 1002)
        until(lambda: {1001, 1002, -1001, -1002} <= set(got))
        until(lambda: not due_rows(outbox))
        outbox.store.stats()
        outbox.store.find(DeliveryFilter(), limit=1000)


def due_rows(outbox):
    """Return the rows that a worker should have completed by now."""
    columns = untyped.c
    waits = columns.state.in_([0, 6]) | ((columns.state == 1) & columns.worker.is_not(None))
    with outbox.engine.connect() as connection:
        found = select(columns.id, columns.state, columns.attempts).where(
            columns.receiver.in_(NAMES), waits, columns.due_at == 0
        )
        return list(connection.execute(found))
