"""The clock of the database is set back by an hour."""

import time

import pytest
from sqlalchemy import create_engine, event, text

from aldis.durable import Outbox, durable
from aldis.durable.types import State
from tests.durable.sql.databases import DATABASES, database, run
from tests.durable.support import create_tables, order_paid, rows
from tests.durable.working import send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")

HOUR = 3600

LATER = (
    "UPDATE aldis_deliveries SET created_at = created_at + 3600000000, due_at = due_at + 3600000000"
)


@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize("key", [None, "one"])
def test_deliveries_that_were_recorded_before(kind, key, tmp_path):
    """A new worker delivers them, and a delay is counted from the present time on."""
    received = []

    @order_paid.connect
    @durable("test.receipt", key=lambda sender, **_: key)
    def receipt(sender, *, order_id):
        received.append(order_id)

    with database(kind, tmp_path) as url:
        engine = create_engine(url)
        create_tables(engine)
        outbox = Outbox(engine=engine)
        send(outbox, 1, 2)
        run(engine, LATER)
        before = receipt.key
        receipt.delay, receipt.key = 600, None
        send(outbox, 3)
        receipt.key = before
        run(engine, f"{LATER} WHERE id > 2")
        with working(outbox):
            until(lambda: len(rows(outbox, State.DONE)) == 2)
        (delayed,) = rows(outbox, State.PENDING)
        engine.dispose()
    # Without a key, a worker may run both at the same time.
    assert [1, 2] == (received if key else sorted(received))
    assert 600 == round((delayed.due_at - delayed.created_at).total_seconds())
    assert delayed.due_at.timestamp() < time.time() + 1000


def test_while_a_worker_runs(file, receipt, caplog):
    """The worker notices it, and says so once."""
    ahead = HOUR
    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def set_clock(raw, record):
        raw.create_function("julianday", 1, lambda _: 2440587.5 + (time.time() + ahead) / 86400)

    outbox = Outbox(engine=engine)
    with working(outbox):
        send(outbox, 1)
        until(lambda: rows(outbox, State.DONE))
        outbox.store.pause("billing.receipt")
        send(outbox, 2)
        ahead = 0
        outbox.store.resume("billing.receipt")
        until(lambda: len(rows(outbox, State.DONE)) == 2)
    assert 1 == caplog.text.count("the clock of the database was set back")
    engine.dispose()


def test_a_delivery_that_a_worker_releases(file, receipt):
    """A delivery that was claimed before the clock was set back is due at once."""
    engine = create_engine(f"sqlite:///{file}")
    store = Outbox(engine=engine).store
    send(Outbox(engine=engine), 1)
    store.register_worker("1" * 32, "quay-1", 60)
    store.claim("1" * 32, "billing.receipt", 1, ordered=False)
    with engine.begin() as connection:
        connection.execute(text("UPDATE aldis_deliveries SET due_at = due_at + 3600000000"))
    store.unregister_worker("1" * 32)
    (due,) = store.due(["billing.receipt"])
    assert due.seconds <= 0
    engine.dispose()
