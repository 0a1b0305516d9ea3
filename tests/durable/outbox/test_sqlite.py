"""The outbox on SQLite, whose driver begins transactions late, and in async sessions."""

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from aldis.durable import Outbox
from aldis.errors import NoSessionError, OutboxError
from tests.durable.support import notes, order_paid, rows, write, written
from tests.transactions import databases

pytestmark = pytest.mark.usefixtures("receipt")


@pytest.fixture
def engine(file):
    """Provide an engine with SQLAlchemy's default configuration."""
    engine = create_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


class TestTheDriversTransactions:
    def roll_back_what_was_released(self, session, outbox):
        """Send in a savepoint, release it, and roll back the transaction."""
        with outbox.using():
            with session.begin_nested():
                write(session, "paid")
                order_paid.send("harbour", order_id=7)
            session.rollback()
        session.remove()

    @pytest.mark.parametrize("known", ["named", "prepared", "found"])
    def test_an_outer_rollback_leaves_nothing(self, engine, known):
        """An outer rollback removes the sends of a released savepoint."""
        session = scoped_session(sessionmaker(engine))
        outbox = Outbox(session, engine=engine if known == "named" else None)
        if known == "prepared":
            outbox.prepare()
        self.roll_back_what_was_released(session, outbox)
        assert ([], []) == (written(engine), rows(outbox))

    def test_a_transaction_that_was_under_way(self, engine):
        """A transaction that began with a read before the first send rolls back."""
        session = scoped_session(sessionmaker(engine))
        outbox = Outbox(session)
        session.execute(select(notes))
        self.roll_back_what_was_released(session, outbox)
        assert ([], []) == (written(engine), rows(outbox))

    def test_a_savepoint_that_was_under_way(self, engine):
        """A transaction that began with a savepoint before the first send is refused."""
        session = scoped_session(sessionmaker(engine))
        outbox = Outbox(session)
        with session.begin_nested():
            write(session, "paid")
            remedy = r"name the engine to the outbox: Outbox\(session, engine=engine\)"
            with pytest.raises(OutboxError, match=remedy), outbox.using():
                order_paid.send("harbour", order_id=7)
        session.rollback()
        session.remove()

    def test_an_engine_that_emits_begin_stays_unchanged(self, file):
        """An engine that already emits BEGIN stays unchanged."""
        with databases.sqlite(file) as engine:
            outbox = Outbox(engine=engine)
            with Session(engine) as session, outbox.using(session):
                with session.begin_nested():
                    order_paid.send("harbour", order_id=7)
                session.rollback()
                with session.begin():
                    order_paid.send("harbour", order_id=8)
            assert 1 == len(rows(outbox))


class TestImmediate:
    def read_then_write(self, engine, outbox):
        """Read, let another connection commit, and send."""
        with Session(engine) as session, outbox.using(session):
            session.execute(select(notes)).all()
            with engine.execution_options().connect() as other:
                raw = other.connection.driver_connection
                raw.execute("PRAGMA busy_timeout = 10")
                try:
                    other.execute(text("INSERT INTO notes (text) VALUES ('other')"))
                    other.commit()
                except Exception:  # noqa: BLE001 - the first has the lock, which is the point
                    other.rollback()
            order_paid.send("harbour", order_id=7)
            session.commit()

    def test_without_it_a_read_cannot_become_a_write(self, file):
        """In WAL, a transaction that has read cannot write after another commit."""
        engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.2})
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        outbox = Outbox(engine=engine)
        with pytest.raises(OutboxError, match=r"BEGIN IMMEDIATE \(Outbox\(immediate=True\)\)"):
            self.read_then_write(engine, outbox)
        assert [] == rows(outbox)
        engine.dispose()

    def test_with_it_the_other_waits(self, file):
        """``immediate=True`` takes the lock first, so the send succeeds."""
        engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.2})
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        outbox = Outbox(engine=engine, immediate=True)
        self.read_then_write(engine, outbox)
        assert 1 == len(rows(outbox))
        engine.dispose()


async def recorded(engine):
    """Return the number of committed deliveries."""
    async with engine.connect() as connection:
        return await connection.scalar(text("SELECT count(*) FROM aldis_deliveries"))


class TestAsyncSessions:
    async def test_are_recorded_in(self, async_engine):
        """A send is synchronous, and the async commit writes it."""
        outbox = Outbox(engine=async_engine)
        async with AsyncSession(async_engine) as session:
            with outbox.using(session):
                async with session.begin():
                    order_paid.send("harbour", order_id=7)
                    assert 0 == await recorded(async_engine)
        assert 1 == await recorded(async_engine)

    async def test_are_rolled_back_with(self, async_engine):
        """Rollbacks of savepoints and transactions remove their sends."""
        outbox = Outbox(engine=async_engine)
        async with AsyncSession(async_engine) as session:
            with outbox.using(session):
                async with session.begin():
                    async with session.begin_nested():
                        order_paid.send("harbour", order_id=7)
                    await session.rollback()
                async with session.begin():
                    await order_paid.asend("harbour", order_id=8)
                    savepoint = await session.begin_nested()
                    order_paid.send("harbour", order_id=9)
                    await savepoint.rollback()
        assert 1 == await recorded(async_engine)

    async def test_need_a_transaction(self, async_engine):
        """Without a transaction, the error explains how to begin one."""
        outbox = Outbox(engine=async_engine)
        async with AsyncSession(async_engine) as session:
            with (
                outbox.using(session),
                pytest.raises(OutboxError, match=r"async with session.begin\(\): \.\.\."),
            ):
                order_paid.send("harbour", order_id=7)

    async def test_an_engine_that_was_not_known(self, async_engine):
        """The first send of a process can be in a transaction that has just begun."""
        async with AsyncSession(async_engine) as session:
            outbox = Outbox(lambda: session)
            async with session.begin():
                with outbox.using():
                    order_paid.send("harbour", order_id=7)
        assert 1 == await recorded(async_engine)

    async def test_an_engine_of_sqlite_that_was_used(self, file):
        """A transaction that has used SQLite before the outbox is refused."""
        engine = create_async_engine(f"sqlite+aiosqlite:///{file}", poolclass=NullPool)
        async with AsyncSession(engine) as session:
            await session.execute(select(notes))
            remedy = r"give it the engine: Outbox\(session, engine=engine\)"
            outbox = Outbox(lambda: session)
            with pytest.raises(OutboxError, match=remedy), outbox.using():
                order_paid.send("harbour", order_id=7)
        await engine.dispose()

    async def test_a_connection_is_refused(self, async_engine):
        """An AsyncConnection is refused, because a send cannot await."""
        outbox = Outbox(engine=async_engine)
        async with async_engine.begin() as connection:
            why = "cannot record a send, because that would need await; use an AsyncSession"
            with pytest.raises(NoSessionError, match=why), outbox.using(connection):
                order_paid.send("harbour", order_id=7)

    async def test_the_connection_inside(self, async_engine):
        """The sync connection inside ``run_sync`` is accepted."""
        outbox = Outbox(engine=async_engine)

        def pay(connection):
            with outbox.using(connection):
                order_paid.send("harbour", order_id=7)

        async with async_engine.begin() as connection:
            await connection.run_sync(pay)
        assert 1 == await recorded(async_engine)
