"""A worker whose receivers use every connection of the pool."""

import time

import pytest
from sqlalchemy import create_engine

from aldis.durable import Outbox, current_delivery, durable
from tests.durable.support import counts, create_tables, order_paid, rows, write
from tests.durable.working import is_settled, send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")


def test_heartbeats_need_no_connection_of_the_pool(tmp_path):
    """A worker renews its lease while its receivers use every connection of the pool."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    small = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=30)
    create_tables(small)
    others = create_engine(url)
    ran = []

    @order_paid.connect
    @durable("pools.slow")
    def slow(sender, *, order_id):
        ran.append(order_id)
        current_delivery().session.connection()
        time.sleep(4)
        write(current_delivery().session, "done")

    outbox, look = Outbox(engine=small), Outbox(engine=others)
    send(outbox, 1)
    with working(outbox, lease=1.5):
        until(lambda: ran)
        until(lambda: look.store.rescue().deliveries or is_settled(look))
    assert ran == [1]
    assert [row.lost_workers for row in rows(look)] == [0]
    assert counts(look) == {"done": 1}
    small.dispose()
    others.dispose()
