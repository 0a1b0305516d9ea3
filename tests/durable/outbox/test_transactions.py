"""In whose transaction the outbox records, and where there is none."""

from contextlib import contextmanager

import pytest
from sqlalchemy import Integer, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from aldis.durable import Outbox, durable
from aldis.errors import OutboxError
from aldis.testing import MemoryStore
from tests.durable import scenes
from tests.durable.outbox.sending import send, sent
from tests.durable.scenes import order_paid, rows, write, written
from tests.durable.stores import databases

pytestmark = pytest.mark.usefixtures("aldis_clean", "lenient")


@pytest.fixture(scope="module", params=["sqlite", *databases.SERVER_KINDS])
def each_engine(request, tmp_path_factory):
    """Give an engine on each kind of database, with the tables."""
    with getattr(databases, request.param)(tmp_path_factory.mktemp("place")) as engine:
        scenes.create_tables(engine)
        yield engine


@contextmanager
def statements(engine, beginning="INSERT INTO aldis_"):
    """Collect the statements that an engine is told, of one kind."""
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
        """Do this on each kind of database, with nothing in it."""
        with each_engine.begin() as connection:
            connection.execute(text("DELETE FROM aldis_deliveries"))
            connection.execute(text("DELETE FROM notes"))
        return each_engine

    def test_is_there_after_the_commit_only(self, outbox, engine, receipt):
        """The row is committed together with what the caller wrote."""
        with Session(engine) as session, outbox.using(session):
            write(session, "paid")
            send(7)
            assert [] == rows(outbox)
            session.commit()
        assert ["paid"] == written(engine)
        assert [7] == sent(outbox)

    def test_is_rolled_back_with_it(self, outbox, engine, receipt):
        """After a rollback there is neither."""
        with Session(engine) as session, outbox.using(session):
            write(session, "paid")
            send(7)
            session.rollback()
        assert ([], []) == (written(engine), rows(outbox))

    def test_is_rolled_back_with_its_savepoint(self, outbox, engine, receipt):
        """What was sent in a savepoint that is rolled back is gone, what was around it stays."""
        with Session(engine) as session, outbox.using(session), session.begin():
            send(1)
            savepoint = session.begin_nested()
            send(2)
            savepoint.rollback()
            with session.begin_nested():
                send(3)
        assert [1, 3] == sent(outbox)

    def test_is_rolled_back_although_its_savepoint_was_released(self, outbox, engine, receipt):
        """A released savepoint is no commit: the outer rollback takes it back, on SQLite too."""
        with Session(engine) as session, outbox.using(session):
            with session.begin_nested():
                write(session, "paid")
                send(7)
            session.rollback()
        assert ([], []) == (written(engine), rows(outbox))

    def test_one_statement_for_all_receivers(self, outbox, engine):
        """However many sends and receivers: one INSERT for each transaction."""
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
        """A connection of Core is written to at once, and takes it back as well."""
        with engine.connect() as connection, outbox.using(connection):
            with connection.begin():
                send(7)
            with connection.begin() as transaction:
                send(8)
                transaction.rollback()
        assert [7] == sent(outbox)

    def test_a_flush_that_sends(self, outbox, engine, receipt):
        """What is sent while the commit flushes is in the transaction, too."""

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
        """Without a transaction the row is there at once."""
        outbox = Outbox(engine=engine)
        with Session(engine) as session, outbox.using(session):
            send(7)
            assert [7] == sent(outbox)
            assert not session.in_transaction()

    def test_or_is_an_error(self, engine, receipt):
        """``no_transaction="error"`` refuses, with the remedy, and records nothing."""
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
        """Only these two exist."""
        with pytest.raises(ValueError, match="must be 'own' or 'error', not 'silence'"):
            Outbox(store=MemoryStore(), no_transaction="silence")
