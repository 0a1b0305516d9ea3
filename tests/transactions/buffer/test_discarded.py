"""The buffer reports rows that were neither committed nor rolled back."""

import gc
import logging

import pytest
from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from aldis.errors import OutboxError
from aldis.transactions import buffer_of
from tests.transactions.buffer.logs import errors
from tests.transactions.tables import Happened, committed

DISCARDED = (
    " recorded in a session that was closed without a commit or a rollback, so no worker will run "
    "them. Perhaps the send came after the commit, in a transaction that reading an attribute "
    "began: send before the commit, or commit again"
)


class TestDiscarded:
    @pytest.mark.parametrize("how", ["close", "reset", "invalidate"])
    def test_a_session_that_is_only_closed(self, engine, active, scribe, caplog, how):
        """Closing a session with rows drops the rows and logs one error."""
        buffer_of(active).write(active, scribe, 1)
        getattr(active, how)()
        assert ["1 durable delivery was" + DISCARDED] == errors(caplog)
        assert [] == committed(engine)[1]

    def test_a_scoped_session_that_is_removed(self, engine, scribe, caplog):
        """Removing a scoped session counts the rows of open savepoints, too."""
        scoped = scoped_session(sessionmaker(engine))
        scoped.begin()
        for _ in range(3):
            scoped.begin_nested()
            buffer_of(scoped()).write(scoped(), scribe, 1)
        scoped().get_nested_transaction().commit()
        scoped.remove()
        assert ["3 durable deliveries were" + DISCARDED] == errors(caplog)

    def test_in_strict_mode(self, engine, active, scribe, strict):
        """In strict mode, the error is raised, and the session stays usable."""
        buffer_of(active).write(active, scribe, 1)
        with pytest.raises(OutboxError, match=r"^1 durable delivery was recorded in a session"):
            active.close()
        active.execute(insert(Happened).values(number=7))
        active.commit()
        assert ([7], []) == committed(engine)

    def test_a_rollback_is_not_reported(self, active, scribe, caplog, strict):
        """A rollback drops the rows without an error, at every level."""
        buffer = buffer_of(active)
        buffer.write(active, scribe, 1)
        active.rollback()
        active.begin()
        active.begin_nested()
        buffer.write(active, scribe, 2)
        active.rollback()
        active.begin()
        active.begin_nested()
        buffer.write(active, scribe, 3)
        active.get_transaction().rollback()
        active.close()
        assert [] == caplog.records

    def test_a_savepoint_that_is_rolled_back_is_not_reported(self, active, scribe, caplog, strict):
        """The rows of a rolled back savepoint are not reported."""
        outer = active.begin_nested()
        active.begin_nested()
        buffer_of(active).write(active, scribe, 1)
        outer.rollback()
        active.close()
        assert [] == caplog.records

    def test_rows_around_a_rolled_back_savepoint_are_reported(self, active, scribe, caplog):
        """The rows of the outer transaction are still reported."""
        buffer_of(active).write(active, scribe, 1)
        active.begin_nested().rollback()
        active.close()
        assert ["1 durable delivery was" + DISCARDED] == errors(caplog)

    def test_a_savepoint_that_is_closed_and_a_commit(self, engine, active, scribe, caplog):
        """The rows of a closed savepoint are dropped, and the commit succeeds."""
        nested = active.begin_nested()
        buffer_of(active).write(active, scribe, 1)
        nested.close()
        active.commit()
        assert ([], []) == (committed(engine)[1], caplog.records)

    def test_a_failed_flush(self, active, scribe, caplog, strict):
        """A failed flush drops the rows, and the caller gets its error."""
        buffer_of(active).write(active, scribe, 1)
        active.execute(insert(Happened).values(number=1))
        active.add(Happened(number=1))
        with pytest.raises(IntegrityError):
            active.flush()
        active.close()
        assert [] == caplog.records

    def test_a_block_that_raised(self, engine, scribe, caplog, strict):
        """If the block raised an error, the rows are only logged as a warning."""

        def fail():
            with Session(engine) as session:
                session.begin()
                buffer_of(session).write(session, scribe, 1)
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert [(logging.WARNING, "1 durable delivery was" + DISCARDED)] == [
            (each.levelno, each.getMessage()) for each in caplog.records
        ]

    def test_a_commit_that_failed(self, engine, active, scribe, caplog, strict):
        """If the commit failed, the rows are not reported."""

        @event.listens_for(active, "before_commit")
        def refuse(session):
            raise ValueError("never")

        buffer_of(active).write(active, scribe, 1)
        with pytest.raises(ValueError, match="never"):
            active.commit()
        active.close()
        assert [] == caplog.records
        assert [] == committed(engine)[1]

    @pytest.mark.filterwarnings("ignore:The garbage collector")
    def test_a_session_that_is_forgotten(self, engine, scribe, caplog):
        """Garbage collection of a session with rows logs an error."""
        gc.collect()  # other tests' sessions
        caplog.clear()
        session = Session(engine)
        session.begin()
        buffer_of(session).write(session, scribe, 1)
        del session
        gc.collect()
        assert [
            "1 durable delivery was"
            + DISCARDED.replace("closed without a commit or a rollback", "thrown away")
        ] == errors(caplog)

    def test_the_transaction_after_the_commit(self, session, scribe, caplog):
        """A read after the commit begins a transaction; its rows are reported."""
        thing = Happened(number=1)
        session.add(thing)
        session.commit()
        buffer_of(session).write(session, scribe, thing.number)
        session.close()
        assert ["1 durable delivery was" + DISCARDED] == errors(caplog)

    def test_nothing_leaks_into_the_next_transaction(self, engine, active, scribe, caplog):
        """Rows and calls of a closed transaction do not appear in the next one."""
        heard = []
        buffer_of(active).write(active, scribe, 1)
        buffer_of(active).call(active, lambda: heard.append(1))
        active.close()
        active.execute(insert(Happened).values(number=7))
        active.commit()
        assert (([7], []), []) == (committed(engine), heard)
