"""Conflicts of a receiver's transaction with others cost no attempt, up to a bound."""

import time

import pytest
from sqlalchemy import Integer, String, bindparam, cast, create_engine, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from aldis.durable import Outbox, Retry, current_delivery, durable
from aldis.durable.types import State
from aldis.errors import LeaseLostError
from tests.durable.sql.databases import database, run
from tests.durable.support import create_tables, notes, order_paid, rows
from tests.durable.working import is_settled, send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")

ONCE = Retry(attempts=1)

COUNT = 24

READ = select(notes.c.text).where(notes.c.id == bindparam("row"))
WRITE = update(notes).where(notes.c.id == bindparam("row")).values(text=bindparam("text"))
ADD = (
    update(notes)
    .where(notes.c.id == bindparam("row"))
    .values(text=cast(cast(notes.c.text, Integer) + 1, String(20)))
)


@pytest.fixture
def postgresql(tmp_path):
    """Give the URL of a database with the tables on PostgreSQL."""
    yield from _with_tables("postgresql", tmp_path)


@pytest.fixture
def mariadb(tmp_path):
    """Give the URL of a database with the tables on MariaDB."""
    yield from _with_tables("mariadb", tmp_path)


def _with_tables(kind, folder):
    with database(kind, folder) as url:
        engine = create_engine(url)
        create_tables(engine)
        run(engine, "INSERT INTO notes (id, text) VALUES (1, '0'), (2, '0')")
        engine.dispose()
        yield url


def number(engine, row=1):
    """Return the number in a row of the notes."""
    with engine.connect() as connection:
        return int(connection.scalar(READ, {"row": row}))


def increment(session, row=1):
    """Read a number, and write the next one."""
    found = int(session.scalar(READ, {"row": row}))
    time.sleep(0.005)
    session.execute(WRITE, {"row": row, "text": found + 1})


def run_all(outbox, **options):
    """Run the deliveries, and return whether all are done at their first attempt."""
    with working(outbox, **options):
        until(lambda: is_settled(outbox))
    return {(row.state, row.attempts) for row in rows(outbox)} == {(State.DONE, 1)}


@pytest.mark.service
@pytest.mark.parametrize("hides_the_error", [False, True])
def test_serialization_failures(postgresql, hides_the_error):
    """On PostgreSQL, receivers that change the same row in SERIALIZABLE all succeed."""

    @order_paid.connect
    @durable("test.counter", retry=ONCE)
    def counter(sender, *, order_id, **extra):
        try:
            increment(current_delivery().session)
        except Exception as error:
            if hides_the_error:
                message = "the counter does not work"
                raise RuntimeError(message) from error
            raise

    engine = create_engine(postgresql, isolation_level="SERIALIZABLE")
    outbox = Outbox(engine=engine)
    send(outbox, *range(COUNT))
    assert run_all(outbox)
    assert COUNT == number(engine)
    engine.dispose()


@pytest.mark.service
async def test_serialization_failures_of_async_receivers(postgresql):
    """On an async engine, too."""

    @order_paid.connect
    @durable("test.counter", retry=ONCE)
    async def counter(sender, *, order_id, **extra):
        session = current_delivery().async_session
        found = int(await session.scalar(READ, {"row": 1}))
        await session.execute(WRITE, {"row": 1, "text": found + 1})

    engine = create_engine(postgresql)
    outbox = Outbox(engine=engine)
    send(outbox, *range(COUNT))
    working_engine = create_async_engine(postgresql, isolation_level="SERIALIZABLE")
    with working(Outbox(engine=working_engine)):
        until(lambda: is_settled(outbox))
    await working_engine.dispose()
    assert {(row.state, row.attempts) for row in rows(outbox)} == {(State.DONE, 1)}
    assert COUNT == number(engine)
    engine.dispose()


@pytest.mark.service
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_deadlocks(kind, request):
    """Receivers that lock two rows in different orders all succeed."""
    # PostgreSQL looks for a deadlock after a second, unless it is told otherwise.
    options = {"options": "-c deadlock_timeout=20ms"} if kind == "postgresql" else {}
    engine = create_engine(request.getfixturevalue(kind), connect_args=options)

    @order_paid.connect
    @durable("test.transfer", retry=ONCE)
    def transfer(sender, *, order_id, **extra):
        session = current_delivery().session
        for row in (1, 2) if order_id % 2 else (2, 1):
            session.execute(ADD, {"row": row})
            time.sleep(0.01)

    outbox = Outbox(engine=engine)
    send(outbox, *range(COUNT))
    assert run_all(outbox)
    assert (COUNT, COUNT) == (number(engine, 1), number(engine, 2))
    engine.dispose()


@pytest.mark.slow
def test_a_locked_sqlite_file(tmp_path):
    """On SQLite, sessions of the app that read before they write all succeed."""

    @order_paid.connect
    @durable("test.counter", retry=ONCE)
    def counter(sender, *, order_id, **extra):
        increment(current_delivery().session)

    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"timeout": 0.1})
    create_tables(engine)
    run(engine, "PRAGMA journal_mode = WAL", "INSERT INTO notes (id, text) VALUES (1, '0')")
    outbox = Outbox(scoped_session(sessionmaker(engine)), engine=engine)
    with outbox.using():
        for order_id in range(8):
            order_paid.send("harbour", order_id=order_id)
    assert run_all(outbox, concurrency=3)
    assert 8 == number(engine)
    engine.dispose()


@pytest.mark.service
@pytest.mark.slow
def test_a_conflict_that_never_ends(postgresql):
    """After many repetitions, the attempt fails like any other."""
    calls = []

    @order_paid.connect
    @durable("test.conflict", retry=ONCE)
    def conflict(sender, *, order_id, **extra):
        calls.append(order_id)
        current_delivery().session.execute(
            text("DO $$ BEGIN RAISE EXCEPTION 'always' USING ERRCODE = '40001'; END $$")
        )

    engine = create_engine(postgresql)
    outbox = Outbox(engine=engine)
    send(outbox, 1)
    run_all(outbox)
    (row,) = rows(outbox)
    assert (State.DEAD, 1) == (row.state, row.attempts)
    assert 10 <= len(calls) <= 30
    engine.dispose()


def test_a_lost_lease_that_the_worker_still_has(outbox):
    """A receiver that raises LeaseLostError although the worker has the delivery costs attempts."""
    calls = []

    @order_paid.connect
    @durable("test.receipt", retry=Retry(attempts=2, first_delay=0.01))
    def receipt(sender, *, order_id, **extra):
        calls.append(order_id)
        raise LeaseLostError

    send(outbox, 7)
    run_all(outbox)
    (row,) = rows(outbox)
    assert (State.DEAD, 2) == (row.state, row.attempts)
    assert [7, 7] == calls
