"""The moment at which the buffer writes rows."""

import pytest
from sqlalchemy import event

from aldis.transactions import buffer_of
from tests.transactions.tables import Happened, Scribe, committed


class TestWriting:
    def test_rows_are_written_together_before_the_commit(self, engine, active, scribe):
        """A transaction passes all its rows to the writer at once."""
        for number in range(3):
            buffer_of(active).write(active, scribe, number)
        assert ([], 0) == (scribe.batches, scribe.told)
        active.commit()
        assert ([[0, 1, 2]], 1) == (scribe.batches, scribe.told)
        assert [0, 1, 2] == committed(engine)[1]

    def test_sends_of_the_last_flush_are_in_the_same_batch(self, engine, active, scribe):
        """A row that the commit's flush adds is in the same batch."""
        thing = Happened(number=2)
        thing.when_inserted = lambda: buffer_of(active).write(active, scribe, 2)
        active.add(thing)
        buffer_of(active).write(active, scribe, 1)
        active.commit()
        assert [[1, 2]] == scribe.batches

    def test_the_first_send_of_all_comes_in_the_flush_of_a_commit(self, engine, active, scribe):
        """The first row can come in the flush of the commit."""
        thing = Happened(number=1)
        thing.when_inserted = lambda: buffer_of(active).write(active, scribe, 1)
        active.add(thing)
        active.commit()
        assert ([1], [1]) == committed(engine)
        assert [] == scribe.late

    def test_two_writers(self, engine, active, scribe):
        """Each writer gets its own rows."""
        other = Scribe(engine)
        for number in range(4):
            buffer_of(active).write(active, (scribe, other)[number % 2], number)
        active.commit()
        assert ([[0, 2]], [[1, 3]]) == (scribe.batches, other.batches)

    def test_a_writer_that_fails_fails_the_commit(self, engine, active, scribe):
        """A failing writer fails the commit; the next commit writes again."""
        buffer_of(active).write(active, scribe, "no number")
        buffer_of(active).write(active, scribe, 1)
        scribe.write = None
        with pytest.raises(TypeError):
            active.commit()
        del scribe.write
        scribe.batches.clear()
        active.rollback()
        buffer_of(active.begin().session).write(active, scribe, 7)
        active.commit()
        assert [[7]] == scribe.batches

    def test_a_commit_that_is_tried_again(self, engine, active, scribe):
        """After another listener has failed, the next commit writes each row once."""
        fail = [True]

        @event.listens_for(active, "before_commit")
        def refuse(session):
            if fail.pop():
                raise ValueError("not yet")

        buffer_of(active).write(active, scribe, 1)
        with pytest.raises(ValueError, match="not yet"):
            active.commit()
        fail.append(False)
        buffer_of(active).write(active, scribe, 2)
        active.commit()
        assert [1, 2] == committed(engine)[1]

    def test_a_row_that_cannot_be_written_at_once(self, engine, active, scribe):
        """During a commit, the sender gets the error, and the row is dropped."""
        seen = []

        @event.listens_for(active, "before_commit")
        def send(session):
            with pytest.raises(AttributeError):
                buffer_of(session).write(session, 7, "a row for no writer")
            seen.append(True)

        buffer_of(active).write(active, scribe, 1)
        active.commit()
        assert ([True], [1]) == (seen, committed(engine)[1])

    def test_holds(self, engine, active, scribe):
        """``holds`` returns whether a writer has a row in the transaction."""
        buffer, other, seen = buffer_of(active), Scribe(engine), []

        def look():
            seen.append((buffer.holds(scribe), buffer.holds(other)))

        look()
        savepoint = active.begin_nested()
        buffer.write(active, scribe, 1)
        look()
        savepoint.close()
        look()
        with active.begin_nested():
            buffer.write(active, other, 2)
        look()
        active.commit()
        look()
        nothing = (False, False)
        assert [nothing, (True, False), nothing, (False, True), nothing] == seen

    def test_outside_of_a_transaction(self, session, scribe):
        """Adding a row without a transaction is an error."""
        with pytest.raises(RuntimeError, match=r"^the session has not begun a transaction$"):
            buffer_of(session).write(session, scribe, 1)
