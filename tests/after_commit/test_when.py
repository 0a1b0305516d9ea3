"""The moment at which a receiver with ``after_commit`` is called."""

import pytest
from sqlalchemy import text

import aldis
from aldis import current_signal
from aldis.receivers import after_commit
from tests.transactions.tables import committed, leave


class TestWhen:
    def test_after_the_commit(self, receiver, signal, session, received):
        """Calls wait for the commit and run in the order of the sends.

        The send returns ``None``.
        """
        session.begin()
        assert [(receiver, None)] == signal.send(1)
        signal.send(2)
        assert [] == received
        session.commit()
        assert [1, 2] == received
        session.begin()
        session.commit()
        assert [1, 2] == received

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

    def test_a_savepoint_is_no_commit(self, receiver, signal, session, received):
        """The release of a savepoint calls no receiver, and the outer rollback drops the calls."""
        session.begin()
        with session.begin_nested():
            signal.send(1)
        assert [] == received
        session.rollback()
        session.begin()
        session.commit()
        assert [] == received

    def test_a_savepoint_that_is_rolled_back(self, receiver, signal, session, received):
        """A rolled back savepoint drops its sends and keeps those around it."""
        session.begin()
        signal.send(1)
        nested = session.begin_nested()
        signal.send(2)
        nested.rollback()
        signal.send(3)
        session.commit()
        assert [1, 3] == received

    @pytest.mark.parametrize("how", ["rollback", "close", "invalidate"])
    def test_without_a_commit(self, receiver, signal, session, received, how):
        """After a rollback or a close, the call is dropped, also for a later commit."""
        session.begin()
        signal.send(1)
        getattr(session, how)()
        session.begin()
        session.commit()
        assert [] == received

    def test_outside_a_transaction(self, receiver, signal, session, received):
        """Without a transaction the receiver is called at once, and its value is ``None``."""
        assert [(receiver, None)] == signal.send(1)
        assert [1] == received

    def test_the_end_of_a_block(self, receiver, signal, engine, session, received):
        """After ``with session.begin()``, the receiver can use the session."""
        read = after_commit(session=session)(
            lambda sender: received.append(session.scalar(text("SELECT 7")))
        )
        signal.connect(read)
        for _ in range(2):
            with session.begin():
                signal.send("north")
        assert ["north", 7, "north", 7] == received

    def test_sends_inside_the_receiver(self, receiver, signal, session, received):
        """A send inside a receiver waits for the commit of the receiver's own transaction."""
        other = aldis.Signal()
        other.connect(receiver)

        @signal.connect
        @after_commit(session=session)
        def relay(sender):
            other.send("at once")
            leave(session, 7)
            other.send("after its own commit")
            received.append("done")

        session.begin()
        signal.send("first")
        session.commit()
        assert ["first", "at once", "done", "after its own commit"] == received


class TestCurrentSignal:
    def test_in_nested_sends(self, session):
        """A receiver of several signals knows the signal that was sent, also within another one."""
        heard, shop = [], aldis.Namespace()
        signals = [shop.signal(name) for name in ("paid", "cancelled")]
        outer = shop.signal("outer")

        @after_commit(session=session)
        def ask(sender, **extra):
            heard.append(current_signal().name)

        def commit(sender, **extra):
            session.commit()
            heard.append(current_signal().name)

        for signal in signals:
            signal.connect(ask)
        outer.connect(commit)
        session.begin()
        for signal in (*signals, signals[0]):
            signal.send()
        outer.send()
        assert ["paid", "cancelled", "paid", "outer"] == heard

    def test_outside_a_transaction(self, session):
        """A receiver that is called at once knows its signal."""
        heard, shop = [], aldis.Namespace()
        paid = shop.signal("paid")
        paid.connect(
            after_commit(session=session)(lambda sender: heard.append(current_signal())), weak=False
        )
        paid.send()
        assert [paid] == heard

    async def test_async(self, async_session):
        """So does an async receiver."""
        heard, shop = [], aldis.Namespace()
        paid = shop.signal("paid")

        @paid.connect
        @after_commit(session=async_session)
        async def ask(sender, **extra):
            heard.append(current_signal().name)

        async with async_session.begin():
            await paid.asend()
        assert ["paid"] == heard
