"""When a receiver with ``after_commit`` is called."""

import pytest
from sqlalchemy import text

import aldis
from aldis.receivers import after_commit
from tests.transactions.tables import committed, leave


class TestWhen:
    def test_after_the_commit(self, receiver, signal, session, heard):
        """Collected, with ``None`` as the value, and called in the order of the sends."""
        session.begin()
        assert [(receiver, None)] == signal.send(1)
        signal.send(2)
        assert [] == heard
        session.commit()
        assert [1, 2] == heard
        session.begin()
        session.commit()
        assert [1, 2] == heard

    def test_the_data_is_there(self, receiver, signal, session, engine):
        """When the receiver runs, other connections see the committed rows."""
        seen = []
        signal.connect(
            after_commit(session=session)(lambda _: seen.append(committed(engine)[0])), weak=False
        )
        leave(session, 7)
        signal.send()
        session.commit()
        assert [[7]] == seen

    def test_a_savepoint_is_no_commit(self, receiver, signal, session, heard):
        """Its release changes nothing, and the rollback around it takes all back."""
        session.begin()
        with session.begin_nested():
            signal.send(1)
        assert [] == heard
        session.rollback()
        session.begin()
        session.commit()
        assert [] == heard

    def test_a_savepoint_that_is_rolled_back(self, receiver, signal, session, heard):
        """A rolled back savepoint drops its own sends, and keeps those around it."""
        session.begin()
        signal.send(1)
        nested = session.begin_nested()
        signal.send(2)
        nested.rollback()
        signal.send(3)
        session.commit()
        assert [1, 3] == heard

    @pytest.mark.parametrize("how", ["rollback", "close", "invalidate"])
    def test_without_a_commit(self, receiver, signal, session, heard, how):
        """Rolled back or closed: dropped, and not called with a later commit."""
        session.begin()
        signal.send(1)
        getattr(session, how)()
        session.begin()
        session.commit()
        assert [] == heard

    def test_in_no_transaction(self, receiver, signal, session, heard):
        """Without a transaction the receiver is called at once, and its value is ``None``."""
        assert [(receiver, None)] == signal.send(1)
        assert [1] == heard

    def test_the_end_of_a_block(self, receiver, signal, engine, session, heard):
        """``with session.begin()`` commits: the receiver can use the session there."""
        read = after_commit(session=session)(
            lambda sender: heard.append(session.scalar(text("SELECT 7")))
        )
        signal.connect(read)
        for _ in range(2):
            with session.begin():
                signal.send("north")
        assert ["north", 7, "north", 7] == heard

    def test_what_it_sends_itself(self, receiver, signal, session, heard):
        """Inside a receiver the session is in no transaction, or in a new one: its rules hold."""
        other = aldis.Signal()
        other.connect(receiver)

        @signal.connect
        @after_commit(session=session)
        def relay(sender):
            other.send("at once")
            leave(session, 7)
            other.send("after its own commit")
            heard.append("done")

        session.begin()
        signal.send("first")
        session.commit()
        assert ["first", "at once", "done", "after its own commit"] == heard
