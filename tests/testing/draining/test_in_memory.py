"""Draining databases and stores in memory."""

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from aldis.durable import Outbox, current_delivery, durable
from aldis.errors import OutboxError
from aldis.testing import MemoryStore, drain
from tests.durable import support
from tests.durable.support import notes, order_paid

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestDatabasesInMemory:
    def test_a_transaction_that_was_left_open(self):
        """An open transaction on the only connection raises an error."""
        with support.in_memory() as engine, Session(engine) as session:
            outbox = Outbox(engine=engine)
            outbox.prepare()
            session.execute(select(notes))
            with pytest.raises(OutboxError, match=r"transaction open on it: commit or roll back"):
                drain(outbox)
            session.rollback()
            assert 0 == drain(outbox).attempts

    def test_one_for_each_thread(self):
        """A separate database for each thread raises an error."""
        engine = create_engine("sqlite://")
        support.create_tables(engine)
        with pytest.raises(
            OutboxError, match=r"make one database for all threads: create_engine\('sqlite://'"
        ):
            drain(Outbox(engine=engine))
        engine.dispose()

    def test_without_any_database(self):
        """A ``MemoryStore`` works without a database."""
        outbox = Outbox(store=MemoryStore())
        heard = []

        @order_paid.connect
        @durable("billing.receipt", delay=60)
        def receipt(sender, *, order_id, **extra):
            heard.append((order_id, current_delivery().attempt))
            if len(heard) == 1:
                raise ConnectionError

        with outbox.using():
            order_paid.send("harbour", order_id=7)
        assert 0 == drain(outbox).attempts
        ran = drain(outbox, later=True, raise_errors=False)
        assert (1, 1, [(7, 1), (7, 2)]) == (ran.done, ran.failed, heard)

    def test_a_session_without_tables_of_aldis(self, tmp_path):
        """A ``MemoryStore`` works in a test suite that never commits."""
        with support.sqlite(tmp_path / "shop.db") as engine, engine.connect() as connection:
            around = connection.begin()
            session = scoped_session(
                sessionmaker(connection, join_transaction_mode="create_savepoint")
            )
            outbox = Outbox(session, store=MemoryStore())
            heard = []

            @order_paid.connect
            @durable("billing.receipt")
            def receipt(sender, *, order_id, **extra):
                heard.append(order_id)

            with outbox.using():
                session.begin()
                order_paid.send("harbour", order_id=7)
                assert 0 == drain(outbox).attempts
                session.commit()
            assert 1 == drain(outbox).done
            session.remove()
            around.rollback()
        assert [7] == heard
