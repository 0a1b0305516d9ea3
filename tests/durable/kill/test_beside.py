"""The worker saves results while another receiver is running."""

from threading import Event

import pytest

from aldis.durable import Outbox, durable
from aldis.durable.types import State
from tests.durable import support
from tests.durable.sql import databases
from tests.durable.support import order_paid, rows
from tests.durable.working import LIMIT, SOON, send, until, working

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("aldis_clean")]


def test_a_completion_is_saved_at_once(tmp_path, monkeypatch):
    """A completion is saved although another receiver is still running."""
    monkeypatch.setattr("aldis.durable.worker.worker.CHECK_EVERY", 3 * LIMIT)
    monkeypatch.setattr("aldis.durable.worker.worker.RESCUE_EVERY", 3 * LIMIT)
    monkeypatch.setattr("aldis.durable.store.sql.notify.POLL_ANYWAY", 3 * LIMIT)
    release = Event()

    @order_paid.connect
    @durable("test.receipt", retry=SOON)
    def receipt(sender, *, order_id):
        if order_id == 0:
            release.wait(3 * LIMIT)

    with databases.engine_on("postgresql", tmp_path) as engine:
        support.create_tables(engine)
        outbox = Outbox(engine=engine)
        with working(outbox, concurrency=2):
            try:
                send(outbox, 1)
                until(lambda: len(rows(outbox, State.DONE)) == 1)
                send(outbox, 0)
                until(lambda: rows(outbox, State.RUNNING))
                for number in range(2, 40):
                    send(outbox, number, -number, -100 - number)
                    until(lambda: not rows(outbox, State.PENDING))
                    until(lambda: len(rows(outbox, State.RUNNING)) == 1)
            finally:
                release.set()
