"""The transaction in which the outbox records a send."""

from contextlib import contextmanager

import pytest
from sqlalchemy import Integer, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from aldis.durable import Outbox, durable
from aldis.errors import OutboxError
from aldis.testing import MemoryStore
from tests.durable import support
from tests.durable.outbox.sending import send, sent
from tests.durable.sql import databases
from tests.durable.support import order_paid, rows, write, written

pytestmark = pytest.mark.usefixtures("aldis_clean", "lenient")


@pytest.fixture(scope="module", params=["sqlite", *databases.SERVER_KINDS])
def each_engine(request, tmp_path_factory):
    """Provide an engine on each kind of database, with the tables."""
    with databases.engine_on(request.param, tmp_path_factory.mktemp("place")) as engine:
        support.create_tables(engine)
        yield engine


@contextmanager
def statements(engine, beginning="INSERT INTO aldis_"):
    """Collect the statements of one kind that an engine executes."""
    said = []

    def listen(connection, cursor, statement, parameters, context, many):
        if statement.startswith(beginning):
            said.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", listen)


class TestInTheCallersTransaction:
    @pytest.fixture
    def engine(self, each_engine):
        """Use each kind of database, with empty tables."""
        with each_engine.begin() as connection:
            connection.execute(text("DELETE FROM aldis_deliveries"))
            connection.execute(text("DELETE FROM notes"))
        return each_engine

    def test_is_there_after_the_commit_only(self, outbox, engine, receipt):
        """The row is committed together with the caller's write."""
        with Session(engine) as session, outbox.using(session):
            write(session, "paid")
            send(7)
            assert [] == rows(outbox)
            session.commit()
        assert ["paid"] == written(engine)
        assert [7] == sent(outbox)

    def test_is_rolled_back_with_it(self, outbox, engine, receipt):
        """A rollback removes both the row and the caller's write."""
        with Session(engine) as session, outbox.using(session):
            write(session, "paid")
            send(7)
            session.rollback()
        assert ([], []) == (written(engine), rows(outbox))

    def test_is_rolled_back_with_its_savepoint(self, outbox, engine, receipt):
        """The rollback of a savepoint removes only the savepoint's sends."""
        with Session(engine) as session, outbox.using(session), session.begin():
            send(1)
            savepoint = session.begin_nested()
            send(2)
            savepoint.rollback()
            with session.begin_nested():
                send(3)
        assert [1, 3] == sent(outbox)

    def test_is_rolled_back_although_its_savepoint_was_released(self, outbox, engine, receipt):
        """An outer rollback removes the sends of a released savepoint."""
        with Session(engine) as session, outbox.using(session):
            with session.begin_nested():
                write(session, "paid")
                send(7)
            session.rollback()
        assert ([], []) == (written(engine), rows(outbox))

    def test_one_statement_for_all_receivers(self, outbox, engine):
        """A transaction writes all its deliveries with one INSERT."""
        for number in range(5):

            @order_paid.connect
            @durable(f"billing.{number}")
            def receive(sender, **extra): ...

        with (
            statements(engine) as said,
            Session(engine) as session,
            outbox.using(session),
            session.begin(),
        ):
            for order_id in range(4):
                send(order_id)
        assert (1, 20) == (len(said), len(rows(outbox)))

    def test_a_connection(self, outbox, engine, receipt):
        """A send on a Core connection is written at once, and rolled back with it."""
        with engine.connect() as connection, outbox.using(connection):
            with connection.begin():
                send(7)
            with connection.begin() as transaction:
                send(8)
                transaction.rollback()
        assert [7] == sent(outbox)

    def test_a_flush_that_sends(self, outbox, engine, receipt):
        """A send during the flush of a commit is part of the transaction."""

        class Base(DeclarativeBase): ...

        class Note(Base):
            __tablename__ = "notes"
            id: Mapped[int] = mapped_column(Integer, primary_key=True)

        def pay(session, context):
            if session.new:
                send(9)

        with Session(engine) as session, outbox.using(session):
            event.listen(session, "after_flush", pay)
            session.add(Note(id=70))
            session.commit()
        assert [9] == sent(outbox)


class TestNoTransaction:
    def test_is_recorded_in_one_of_its_own(self, engine, receipt):
        """Without a transaction, the row is committed at once."""
        outbox = Outbox(engine=engine)
        with Session(engine) as session, outbox.using(session):
            send(7)
            assert [7] == sent(outbox)
            assert not session.in_transaction()

    def test_or_is_an_error(self, engine, receipt):
        """``no_transaction="error"`` refuses the send and records nothing."""
        outbox = Outbox(engine=engine, no_transaction="error")
        with (
            Session(engine) as session,
            outbox.using(session),
            pytest.raises(OutboxError, match=r"begin one \(with session.begin\(\): \.") as e,
        ):
            send(7)
        assert "'order_paid' was sent to durable receiver 'billing.receipt'" in str(e.value)
        assert [] == rows(outbox)

    def test_a_setting_that_is_none(self):
        """Other values of ``no_transaction`` are refused."""
        with pytest.raises(ValueError, match="must be 'own' or 'error', not 'silence'"):
            Outbox(store=MemoryStore(), no_transaction="silence")
