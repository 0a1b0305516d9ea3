"""Deliveries that are recorded in a transaction that is never committed."""

import gc
import logging

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import aldis
from aldis.durable import Outbox
from aldis.errors import OutboxError
from tests.durable.outbox.sending import send
from tests.durable.support import notes, rows, write

pytestmark = pytest.mark.usefixtures("aldis_clean", "lenient")


class TestUncommittedRow:
    def lose(self, engine):
        """Send in a transaction that reading began, and close the session."""
        outbox = Outbox(engine=engine)
        with Session(engine) as session, outbox.using(session):
            write(session, "paid")
            session.commit()
            session.execute(select(notes))
            send(7)
        return outbox

    def test_is_logged_as_an_error(self, engine, receipt, caplog):
        """Closing a session with a recorded delivery logs an error with the likely reason."""
        outbox = self.lose(engine)
        (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert record.message.startswith("1 durable delivery was recorded in a session that was cl")
        assert (
            "Perhaps the send came after the commit, in a transaction that reading"
            in record.message
        )
        assert [] == rows(outbox)

    def test_is_an_error_in_strict_mode(self, engine, receipt):
        """In strict mode, closing the session raises the error."""
        aldis.set_strict(True)
        with pytest.raises(OutboxError, match="no worker will run them"):
            self.lose(engine)

    def test_a_session_that_is_thrown_away(self, engine, receipt, caplog):
        """Garbage collection of a session with a recorded delivery logs an error."""
        outbox = Outbox(engine=engine)
        session = Session(engine)
        session.begin()
        with outbox.using(session):
            send(7)
        del session
        gc.collect()
        assert ["1 durable delivery was recorded in a session that was thrown away"] == [
            record.message.partition(",")[0] for record in caplog.records
        ]
