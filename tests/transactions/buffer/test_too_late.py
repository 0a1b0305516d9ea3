"""Rows that are added after the commit, and writers that fail then."""

import pytest
from sqlalchemy import event

from aldis.transactions import buffer_of
from tests.transactions.buffer.logs import errors
from tests.transactions.tables import committed


class TestTooLate:
    def test_after_the_commit(self, engine, active, scribe):
        """A row that is added after the commit is written in a new transaction."""

        @event.listens_for(active, "after_commit")
        def send(session):
            buffer_of(session).write(session, scribe, 1)

        active.commit()
        assert ([1], [1]) == (scribe.late, committed(engine)[1])

    def test_when_that_fails_it_is_logged(self, active, scribe, caplog):
        """If that fails, the error is logged and the caller's commit still succeeds."""
        scribe.write_late = None

        @event.listens_for(active, "after_commit")
        def send(session):
            buffer_of(session).write(session, scribe, 1)

        active.commit()
        assert ["1 durable deliveries came after the commit and are lost"] == errors(caplog)
        assert TypeError is caplog.records[0].exc_info[0]

    def test_a_writer_that_fails_after_the_commit(self, engine, active, scribe, caplog):
        """If a writer fails after the commit, its rows stay and the error is logged."""
        scribe.committed = None
        buffer_of(active).write(active, scribe, 1)
        active.commit()
        assert ["a writer failed after the commit of its rows"] == errors(caplog)
        assert [1] == committed(engine)[1]

    def test_another_hook_that_fails_after_the_commit(self, engine, active, scribe):
        """If another listener fails, closing the session does the remaining work."""

        @event.listens_for(active, "after_commit")
        def fail(session):
            raise ValueError("too late")

        heard = []
        buffer_of(active).write(active, scribe, 1)
        buffer_of(active).call(active, lambda: heard.append(1))
        with pytest.raises(ValueError, match="too late"):
            active.commit()
        active.close()
        assert ([1], 1, [1]) == (committed(engine)[1], scribe.told, heard)
