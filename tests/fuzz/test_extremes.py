"""The largest and smallest numbers of each database do not stop a worker."""

import pytest
from sqlalchemy import MetaData, insert, select

from aldis.durable import Outbox, durable
from aldis.durable.store.sql.migrate import upgrade
from aldis.durable.store.sql.tables import tables
from aldis.durable.types import DeliveryFilter, State
from tests.durable.sql import databases
from tests.durable.support import order_paid
from tests.durable.working import SOON, send, until, working
from tests.fuzz.test_rows import GOOD

INT, BIG = 2**31, 2**63

EXTREMES = {
    "attempts": [{"attempts": INT - 1}, {"attempts": -INT}],
    "attempts that fail": [{"attempts": number, "payload": "null"} for number in (INT - 1, -INT)],
    "lost": [{"lost": INT - 1}, {"lost": -INT}],
    "lost with a worker": [
        {"state": int(State.RUNNING), "worker": "f" * 32, "lost": number, "attempts": attempts}
        for number in (INT - 1, -INT)
        for attempts in (INT - 1, -INT)
    ],
    "due": [{"due_at": BIG - 1}, {"due_at": -BIG}],
    "recorded": [{"created_at": BIG - 1}, {"created_at": -BIG}, {"finished_at": -BIG}],
    "a state that nobody knows": [{"state": 99}, {"state": -1}],
}


@pytest.fixture(scope="module", params=["sqlite", *databases.SERVER_KINDS])
def outbox(request, tmp_path_factory):
    """Give an outbox on a database with the tables."""
    with databases.engine_on(request.param, tmp_path_factory.mktemp("database")) as engine:
        upgrade(engine)
        yield Outbox(engine=engine)


@pytest.mark.parametrize("found", EXTREMES.values(), ids=EXTREMES)
def test_extremes(outbox, found):
    """Beside extreme numbers, new sends are delivered, and commands show the rows."""
    got = []

    @durable("fuzz.receipt", retry=SOON)
    def receipt(sender: str, *, order_id: int, **extra):
        got.append(order_id)

    rows = tables(MetaData()).deliveries
    with outbox.engine.begin() as connection:
        connection.execute(rows.delete())
        for each in found:
            connection.execute(insert(rows).values({**GOOD, **each}))
    with order_paid.connected_to(receipt), working(outbox, lease=5):
        send(outbox, 1001)
        until(lambda: 1001 in got)
        until(lambda: not left(outbox, rows))
    assert outbox.store.stats()
    assert outbox.store.find(DeliveryFilter(), limit=100)


def left(outbox, rows):
    """Return the deliveries that a worker should have completed by now."""
    with outbox.engine.connect() as connection:
        waiting = rows.c.state.in_([0, 1, 6]) & (rows.c.due_at <= 0)
        return connection.execute(select(rows.c.id).where(waiting)).all()
