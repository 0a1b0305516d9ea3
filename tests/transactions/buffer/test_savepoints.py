"""The buffer and the rows of savepoints."""

import pytest
from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError

from aldis.transactions import buffer_of
from tests.transactions.tables import Happened, committed


class TestSavepoints:
    def test_rows_are_written_with_the_outermost_commit(self, engine, begun, scribe):
        """Releasing a savepoint writes nothing; the outermost commit writes all rows."""
        buffer_of(begun).write(begun, scribe, 1)
        with begun.begin_nested():
            buffer_of(begun).write(begun, scribe, 2)
        buffer_of(begun).write(begun, scribe, 3)
        assert [] == scribe.batches
        begun.commit()
        assert [[1, 2, 3]] == scribe.batches
        assert [1, 2, 3] == committed(engine)[1]

    def test_a_row_of_an_outer_transaction_is_written_again(self, engine, begun, scribe):
        """A row that was written in a rolled back savepoint is written again."""
        buffer_of(begun).write(begun, scribe, 1)
        outer = begun.begin_nested()
        middle = begun.begin_nested()
        begun.begin_nested()
        buffer_of(begun).write(begun, scribe, 2)
        middle.commit()
        outer.rollback()
        begun.commit()
        assert [[1, 2], [1]] == scribe.batches
        assert [1] == committed(engine)[1]

    def test_after_a_commit_of_several_savepoints(self, engine, begun, scribe):
        """Rows after several releases wait for the outermost commit."""
        outer = begun.begin_nested()
        begun.begin_nested()
        buffer_of(begun).write(begun, scribe, 1)
        outer.commit()
        buffer_of(begun).write(begun, scribe, 2)
        assert [[1]] == scribe.batches
        begun.commit()
        assert [[1], [2]] == scribe.batches

    def test_an_outer_commit_while_a_savepoint_is_open(self, engine, begun, scribe):
        """An outer commit with an open savepoint writes the rows of both."""
        buffer_of(begun).write(begun, scribe, 1)
        begun.begin_nested()
        buffer_of(begun).write(begun, scribe, 2)
        begun.get_transaction().commit()
        assert [1, 2] == committed(engine)[1]
        assert [] == scribe.late

    def test_the_flush_of_an_outer_commit(self, engine, begun, scribe):
        """Rows that the flush of the outer commit adds are written in time."""
        begun.begin_nested()

        @event.listens_for(begun, "after_transaction_end")
        def add(session, transaction):
            if transaction.nested:
                thing = Happened(number=1)
                thing.when_inserted = lambda: buffer_of(session).write(session, scribe, 1)
                session.add(thing)

        buffer_of(begun).write(begun, scribe, 0)
        begun.get_transaction().commit()
        assert ([1], [0, 1], []) == (*committed(engine), scribe.late)

    def test_a_savepoint_inside_a_flush(self, engine, begun, scribe):
        """Rows of a savepoint inside a flush move to the outer transaction."""
        heard = []

        def note():
            with begun.begin_nested():
                buffer_of(begun).call(begun, lambda: heard.append(1))
                buffer_of(begun).write(begun, scribe, 1)

        thing = Happened(number=1)
        thing.when_inserted = note
        with begun.begin_nested():
            begun.add(thing)
        begun.commit()
        assert ([1], [1], [1]) == (*committed(engine), heard)
        begun.begin()
        other = Happened(number=2)
        other.when_inserted = note
        nested = begun.begin_nested()
        begun.add(other)
        begun.flush()
        nested.rollback()
        begun.commit()
        assert ([1], [1], [1]) == (*committed(engine), heard)

    def test_a_flush_that_fails_in_a_savepoint(self, engine, begun, scribe):
        """A failed flush drops the savepoint's rows, and the transaction continues."""
        begun.execute(insert(Happened).values(number=1))
        buffer_of(begun).write(begun, scribe, 1)
        savepoint = begun.begin_nested()
        buffer_of(begun).write(begun, scribe, 2)
        begun.add(Happened(number=1))
        with pytest.raises(IntegrityError):
            begun.flush()
        savepoint.rollback()
        buffer_of(begun).write(begun, scribe, 3)
        begun.commit()
        assert ([1], [1, 3]) == committed(engine)
