"""The buffer and the rows of savepoints."""

import pytest
from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError

from aldis.transactions import buffer_of
from tests.transactions.tables import Happened, committed


class TestSavepoints:
    def test_rows_are_written_with_the_outermost_commit(self, engine, active, scribe):
        """Releasing a savepoint writes nothing; the outermost commit writes all rows."""
        buffer_of(active).write(active, scribe, 1)
        with active.begin_nested():
            buffer_of(active).write(active, scribe, 2)
        buffer_of(active).write(active, scribe, 3)
        assert [] == scribe.batches
        active.commit()
        assert [[1, 2, 3]] == scribe.batches
        assert [1, 2, 3] == committed(engine)[1]

    def test_a_row_of_an_outer_transaction_is_written_again(self, engine, active, scribe):
        """A row that was written in a rolled back savepoint is written again."""
        buffer_of(active).write(active, scribe, 1)
        outer = active.begin_nested()
        middle = active.begin_nested()
        active.begin_nested()
        buffer_of(active).write(active, scribe, 2)
        middle.commit()
        outer.rollback()
        active.commit()
        assert [[1, 2], [1]] == scribe.batches
        assert [1] == committed(engine)[1]

    def test_after_a_commit_of_several_savepoints(self, engine, active, scribe):
        """Rows after several releases wait for the outermost commit."""
        outer = active.begin_nested()
        active.begin_nested()
        buffer_of(active).write(active, scribe, 1)
        outer.commit()
        buffer_of(active).write(active, scribe, 2)
        assert [[1]] == scribe.batches
        active.commit()
        assert [[1], [2]] == scribe.batches

    def test_an_outer_commit_while_a_savepoint_is_open(self, engine, active, scribe):
        """An outer commit with an open savepoint writes the rows of both."""
        buffer_of(active).write(active, scribe, 1)
        active.begin_nested()
        buffer_of(active).write(active, scribe, 2)
        active.get_transaction().commit()
        assert [1, 2] == committed(engine)[1]
        assert [] == scribe.late

    def test_the_flush_of_an_outer_commit(self, engine, active, scribe):
        """Rows that the flush of the outer commit adds are written in time."""
        active.begin_nested()

        @event.listens_for(active, "after_transaction_end")
        def add(session, transaction):
            if transaction.nested:
                thing = Happened(number=1)
                thing.when_inserted = lambda: buffer_of(session).write(session, scribe, 1)
                session.add(thing)

        buffer_of(active).write(active, scribe, 0)
        active.get_transaction().commit()
        assert ([1], [0, 1], []) == (*committed(engine), scribe.late)

    def test_a_savepoint_inside_a_flush(self, engine, active, scribe):
        """Rows of a savepoint inside a flush move to the outer transaction."""
        heard = []

        def note():
            with active.begin_nested():
                buffer_of(active).call(active, lambda: heard.append(1))
                buffer_of(active).write(active, scribe, 1)

        thing = Happened(number=1)
        thing.when_inserted = note
        with active.begin_nested():
            active.add(thing)
        active.commit()
        assert ([1], [1], [1]) == (*committed(engine), heard)
        active.begin()
        other = Happened(number=2)
        other.when_inserted = note
        nested = active.begin_nested()
        active.add(other)
        active.flush()
        nested.rollback()
        active.commit()
        assert ([1], [1], [1]) == (*committed(engine), heard)

    def test_a_flush_that_fails_in_a_savepoint(self, engine, active, scribe):
        """A failed flush drops the savepoint's rows, and the transaction continues."""
        active.execute(insert(Happened).values(number=1))
        buffer_of(active).write(active, scribe, 1)
        savepoint = active.begin_nested()
        buffer_of(active).write(active, scribe, 2)
        active.add(Happened(number=1))
        with pytest.raises(IntegrityError):
            active.flush()
        savepoint.rollback()
        buffer_of(active).write(active, scribe, 3)
        active.commit()
        assert ([1], [1, 3]) == committed(engine)
