"""The outbox: what is recorded, in whose transaction, and what is refused."""

import gc
import logging
import sqlite3
from contextlib import contextmanager

import pytest
from sqlalchemy import Integer, create_engine, event, insert, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    sessionmaker,
)

import aldis
from aldis.durable import Outbox, durable
from aldis.errors import (
    DiscardedError,
    NoSessionError,
    NoTransactionError,
    OutboxError,
    SchemaError,
)
from aldis.testing import MemoryStore
from tests.durable import scenes
from tests.durable.scenes import notes, order_paid, rows, write, written
from tests.durable.stores import databases

pytestmark = pytest.mark.usefixtures("aldis_clean")

KINDS = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service),
    pytest.param("mariadb", marks=pytest.mark.service),
]


@pytest.fixture(autouse=True)
def lenient():
    """Start each test with strict mode off, wherever the suite runs."""
    before = aldis.set_strict(False)
    yield
    aldis.set_strict(before)


@pytest.fixture
def engine(tmp_path):
    """Give an engine on a file of SQLite, with the tables."""
    with scenes.sqlite(tmp_path / "shop.db") as engine:
        yield engine


@pytest.fixture(scope="module", params=KINDS)
def each_engine(request, tmp_path_factory):
    """Give an engine on each kind of database, with the tables."""
    with getattr(databases, request.param)(tmp_path_factory.mktemp("place")) as engine:
        scenes.create_tables(engine)
        yield engine


@pytest.fixture
def receipt():
    """Give a durable receiver of ``order_paid``."""

    @order_paid.connect
    @durable("billing.receipt")
    def receipt(sender, **extra): ...

    return receipt


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


def send(order_id):
    """Send."""
    order_paid.send("harbour", order_id=order_id)


def sent(outbox):
    """Return the orders whose deliveries are recorded."""
    return [int(row.payload.partition('"order_id":')[2].split("}")[0]) for row in rows(outbox)]


class TestInTheCallersTransaction:
    @pytest.fixture
    def engine(self, each_engine):
        """Do this on each kind of database, with nothing in it."""
        with each_engine.begin() as connection:
            connection.execute(text("DELETE FROM aldis_deliveries"))
            connection.execute(text("DELETE FROM notes"))
        return each_engine

    @pytest.fixture
    def outbox(self, engine):
        """Give an outbox without a session of its own."""
        return Outbox(engine=engine)

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
            pytest.raises(NoTransactionError, match=r"begin one \(with session.begin\(\): \.") as e,
        ):
            send(7)
        assert "'order_paid' was sent to durable receiver 'billing.receipt'" in str(e.value)
        assert [] == rows(outbox)

    def test_a_setting_that_is_none(self):
        """Only these two exist."""
        with pytest.raises(ValueError, match="no_transaction is 'own' or 'error', not 'silence'"):
            Outbox(store=MemoryStore(), no_transaction="silence")


class TestTheRowNobodyCommits:
    def lose(self, engine):
        """Send in a transaction that reading began, and close the session."""
        outbox = Outbox(engine=engine)
        with Session(engine) as session, outbox.using(session):
            write(session, "paid")
            session.commit()
            session.execute(select(notes))
            send(7)
        return outbox

    def test_is_logged_as_an_error(self, engine, receipt, caplog):
        """A delivery that goes with its session is told of, with what may have happened."""
        outbox = self.lose(engine)
        (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert record.message.startswith("1 durable delivery was recorded in a session that was cl")
        assert "Was it sent after the commit, in a transaction that reading" in record.message
        assert [] == rows(outbox)

    def test_is_an_error_in_strict_mode(self, engine, receipt):
        """Strict mode raises it, at the place of the close."""
        aldis.set_strict(True)
        with pytest.raises(DiscardedError, match="nobody will run what was sent"):
            self.lose(engine)

    def test_a_session_that_is_thrown_away(self, engine, receipt, caplog):
        """One that is neither closed nor ended is told of when it is collected."""
        outbox = Outbox(engine=engine)
        session = Session(engine)
        session.begin()
        with outbox.using(session):
            send(7)
        del session
        gc.collect()
        assert ["1 durable delivery was recorded in a session that was thrown away"] == [
            record.message.partition(":")[0] for record in caplog.records
        ]


class TestWhoseSession:
    def test_a_sessionmaker_is_refused(self, engine):
        """It makes a new session each time: the caller's is never among them."""
        for maker in (
            sessionmaker(engine),
            async_sessionmaker(create_async_engine("sqlite+aiosqlite://")),
        ):
            with pytest.raises(OutboxError, match="a sessionmaker makes a new one each time; give"):
                Outbox(maker)

    def test_a_session_is_refused(self, engine):
        """One session is not everybody's."""
        with (
            Session(engine) as session,
            pytest.raises(OutboxError, match=r"outbox.using\(session\)"),
        ):
            Outbox(session)

    def test_a_callable(self, engine, receipt):
        """Any callable that returns the current session will do."""
        session = Session(engine)
        outbox = Outbox(lambda: session)
        with session, outbox.using():
            session.begin()
            send(7)
            session.commit()
        assert [7] == sent(outbox)

    def test_a_callable_that_returns_none(self, receipt):
        """No session is said to be none."""
        outbox = Outbox(lambda: None)
        with pytest.raises(NoSessionError, match="there is no current session"), outbox.using():
            send(7)

    def test_nobodys(self, receipt):
        """A send outside of everything says what to do, and no receiver has it."""
        with pytest.raises(NoSessionError, match=r"whose session is it\? There is no current app"):
            send(7)

    def test_an_outbox_without_a_session(self, engine, receipt):
        """With ``using()`` alone, an outbox that has none says so."""
        outbox = Outbox(engine=engine)
        why = "this outbox has no session of its own"
        with pytest.raises(NoSessionError, match=why), outbox.using():
            send(7)

    def test_what_is_no_session(self, engine, receipt):
        """``using`` refuses at once what it cannot write through."""
        outbox = Outbox(engine=engine)
        with (
            pytest.raises(
                NoSessionError, match="that is no session or connection of SQLAlchemy: 7"
            ),
            outbox.using(7),
        ):
            pass

    def test_the_innermost(self, engine, tmp_path, receipt):
        """Nested blocks: the innermost decides, and the outer one does again after it."""
        with scenes.sqlite(tmp_path / "other.db") as other:
            first, second = Outbox(engine=engine), Outbox(engine=other)
            with Session(engine) as one, Session(other) as two, first.using(one):
                with second.using(two):
                    send(2)
                send(1)
            assert ([1], [2]) == (sent(first), sent(second))


class TestDatabases:
    def test_another_engine_is_refused(self, engine, tmp_path, receipt):
        """A session of another database cannot record atomically."""
        with scenes.sqlite(tmp_path / "other.db") as other:
            outbox = Outbox(engine=engine)
            with Session(other) as session, outbox.using(session):
                write(session, "paid")
                send(7)
                with pytest.raises(OutboxError, match=r"atomically across databases: .*other.db"):
                    session.commit()
                session.rollback()
            assert [] == written(other)
            why = "cannot be recorded atomically"
            with (
                other.begin() as connection,
                outbox.using(connection),
                pytest.raises(OutboxError, match=why),
            ):
                send(7)

    def test_two_engines_are_refused(self, engine, tmp_path, receipt):
        """A session that has used a second database has no one commit any more."""
        with scenes.sqlite(tmp_path / "other.db") as other:
            outbox = Outbox(engine=engine)
            with Session(engine) as session, outbox.using(session):
                session.execute(insert(notes).values(text="x"), bind_arguments={"bind": other})
                send(7)
                with pytest.raises(OutboxError, match="atomically across databases"):
                    session.commit()
                session.rollback()
        assert [] == rows(outbox)

    def test_binds_by_model_need_an_engine(self, engine, receipt):
        """Where the session knows engines for models only, the outbox is told which is its own."""

        class Base(DeclarativeBase): ...

        with Session(binds={Base: engine}) as session:
            session.begin()
            outbox = Outbox(lambda: session)
            remedy = r"Outbox\(session, engine=engine\)"
            with pytest.raises(OutboxError, match=remedy), outbox.using():
                send(7)
            outbox = Outbox(lambda: session, engine=engine)
            with outbox.using():
                send(8)
            session.commit()
        assert [8] == sent(outbox)

    def test_another_kind_is_refused(self):
        """Only databases that are known to keep the promises."""
        engine = create_engine("mssql+pymssql://", module=sqlite3)
        with pytest.raises(
            OutboxError, match=r"kept in SQLite, PostgreSQL, MariaDB or MySQL, not i"
        ):
            Outbox(engine=engine)

    def test_without_the_tables(self, tmp_path, receipt):
        """The send's transaction fails, and the message says which command is missing."""
        engine = create_engine(f"sqlite:///{tmp_path / 'bare.db'}")
        outbox = Outbox(engine=engine)
        with Session(engine) as session, outbox.using(session):
            session.begin()
            send(7)
            with pytest.raises(SchemaError, match="create them with 'aldis db upgrade'"):
                session.commit()
        engine.dispose()

    def test_a_prefix(self, tmp_path, receipt):
        """The tables may have other names."""
        engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
        scenes.create_tables(engine, "shop_")
        outbox = Outbox(engine=engine, prefix="shop_")
        with Session(engine) as session, outbox.using(session):
            send(7)
        assert [7] == sent(outbox)
        engine.dispose()
