"""Receivers with ``key=`` and a session: the next delivery starts at once, in any isolation."""

import pytest
from sqlalchemy import create_engine, text

from aldis.durable import Outbox, current_delivery, durable
from aldis.durable.types import State
from tests.durable.sql.databases import database
from tests.durable.support import create_tables, order_paid, rows
from tests.durable.working import send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")


@pytest.mark.service
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_snapshot_that_is_older_than_the_next_delivery(kind, tmp_path, monkeypatch):
    """A receiver that read before the next delivery was recorded frees it nevertheless."""
    # Without the search for gaps in the order, which would repair it after seconds.
    monkeypatch.setattr("aldis.durable.worker.worker.RESCUE_EVERY", 1000.0)
    received = []

    @order_paid.connect
    @durable("test.bookkeeping", key=lambda sender, **_: "one")
    def books(sender, *, order_id):
        current_delivery().session.execute(text("SELECT count(*) FROM notes")).all()
        received.append(order_id)
        if order_id < 5:
            send(sending, order_id + 1)
            until(lambda: not rows(sending, State.PENDING))  # the worker has seen it

    with database(kind, tmp_path) as url:
        engine = create_engine(url, isolation_level="REPEATABLE READ")
        create_tables(engine)
        sending = Outbox(engine=engine)
        with working(Outbox(engine=engine)):
            send(sending, 1)
            until(lambda: len(rows(sending, State.DONE)) == 5)
        engine.dispose()
    assert [1, 2, 3, 4, 5] == received
