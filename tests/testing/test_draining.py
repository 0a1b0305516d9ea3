"""Running what is due in the test's own process."""

import asyncio
import contextvars
import threading

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool, StaticPool

from aldis.durable import GiveUp, Outbox, Retry, RetryLater, current_delivery, durable
from aldis.errors import (
    AsyncReceiverError,
    NoDeliveryError,
    NoSessionError,
    OutboxError,
    UnknownReceiverError,
)
from aldis.observe import trace
from aldis.testing import MemoryStore, adrain, delivering, drain
from tests.durable import scenes
from tests.durable.scenes import counts, notes, order_paid, receipt_sent, rows, write, written

pytestmark = pytest.mark.usefixtures("aldis_clean")

flask = pytest.importorskip("flask")


@pytest.fixture(params=["file", "memory"])
def engine(request, tmp_path):
    """Give an engine on SQLite: on a file, and in memory."""
    where = scenes.sqlite(tmp_path / "shop.db") if request.param == "file" else scenes.in_memory()
    with where as engine:
        yield engine


@pytest.fixture
def session(engine):
    """Give a scoped session."""
    session = scoped_session(sessionmaker(engine))
    yield session
    session.remove()


@pytest.fixture
def outbox(session):
    """Give an outbox with the session."""
    return Outbox(session)


def send(outbox, session, *order_ids):
    """Send, and commit."""
    with outbox.using(session):
        session.begin()
        for order_id in order_ids:
            order_paid.send("harbour", order_id=order_id)
        session.commit()


@pytest.fixture
def receipt():
    """Give a receiver that writes through its session what it was called with."""

    @order_paid.connect
    @durable("billing.receipt")
    def receipt(sender, *, order_id, **extra):
        write(current_delivery().session, f"{sender} {order_id}")

    return receipt


class TestDrain:
    def test_runs_what_is_due(self, outbox, session, engine, receipt):
        """What was committed is delivered, and what the receiver wrote is committed."""
        send(outbox, session, 7, 8)

        assert 2 == drain(outbox).done
        assert ["harbour 7", "harbour 8"] == written(engine)
        assert {"done": 2} == counts(outbox)

    def test_nothing_is_no_error(self, outbox, receipt):
        """Where nothing is due, nothing is run."""
        ran = drain(outbox)

        assert (0, 0, []) == (ran.attempts, ran.dead, ran.errors)

    def test_what_is_not_committed_is_not_there(self, tmp_path):
        """An open transaction's sends are not run, and are run once it is committed."""
        heard = []
        with scenes.sqlite(tmp_path / "shop.db") as engine, Session(engine) as session:
            outbox = Outbox(engine=engine)

            @order_paid.connect
            @durable("billing.receipt")
            def receipt(sender, *, order_id, **extra):
                heard.append(order_id)

            with outbox.using(session):
                session.begin()
                order_paid.send("harbour", order_id=7)
                assert 0 == drain(outbox).attempts
                session.commit()
            drain(outbox)
        assert [7] == heard

    def test_runs_what_receivers_send(self, outbox, session, engine, receipt):
        """What a receiver sends is due at once, and is run as well."""

        @order_paid.connect
        @durable("billing.pass_on")
        def pass_on(sender, *, order_id, **extra):
            receipt_sent.send(sender, order_id=order_id + 1)

        @receipt_sent.connect
        @durable("billing.archive")
        def archive(sender, *, order_id, **extra):
            write(current_delivery().session, f"archived {order_id}")

        send(outbox, session, 7)

        assert 3 == drain(outbox).done
        assert {"harbour 7", "archived 8"} == set(written(engine))

    def test_only_some_receivers(self, outbox, session, receipt):
        """The others' deliveries stay where they are."""

        @order_paid.connect
        @durable("billing.other")
        def other(sender, **extra): ...

        send(outbox, session, 7)

        assert 1 == drain(outbox, receivers=["billing.other"]).done
        assert {"done": 1, "pending": 1} == counts(outbox)
        with pytest.raises(UnknownReceiverError, match=r"did you mean 'billing.receipt'\?"):
            drain(outbox, receivers=["billing.receip"])

    def test_sees_nothing_of_the_test(self, outbox, session, receipt):
        """As in a worker, receivers run with context variables and a session of their own."""
        variable = contextvars.ContextVar("variable", default="unset")
        variable.set("the test's")
        seen = []

        @order_paid.connect
        @durable("billing.look")
        def look(sender, **extra):
            mine = current_delivery().session
            seen.append((variable.get(), mine is theirs, threading.current_thread().name[:11]))

        theirs = session()
        send(outbox, session, 7)
        drain(outbox)
        assert [("unset", False, "aldis-drain")] == seen

    def test_the_trace_shows_it(self, outbox, session, receipt):
        """Each delivery is a send in a trace, with what its receiver sent under it."""

        @order_paid.connect
        @durable("billing.pass_on")
        def pass_on(sender, *, order_id, **extra):
            receipt_sent.send(sender, order_id=order_id)

        send(outbox, session, 7)
        with trace() as seen:
            drain(outbox)

        assert [("order_paid", "durable"), ("order_paid", "durable")] == [
            (root.signal, root.how) for root in seen.roots
        ]
        calls = {call.receiver.split(".")[-1]: call for root in seen.roots for call in root.calls}
        assert ["receipt_sent"] == [each.signal for each in calls["pass_on"].emissions]
        assert [] == calls["receipt"].emissions


class TestErrors:
    def test_are_raised_in_the_end(self, outbox, session, receipt):
        """All is run first; then comes a group, with a note on whose error each is."""

        @order_paid.connect
        @durable("billing.broken", retry=Retry(attempts=2))
        def broken(sender, *, order_id, **extra):
            raise LookupError(order_id)

        send(outbox, session, 7, 8)
        with pytest.raises(ExceptionGroup, match="2 attempts at durable deliveries failed") as info:
            drain(outbox)

        assert [LookupError, LookupError] == [type(each) for each in info.value.exceptions]
        (note,) = info.value.exceptions[0].__notes__
        assert note.startswith("billing.broken: delivery ")
        assert note.endswith("of order_paid, attempt 1 of 2; it will be tried again")
        assert {"done": 2, "pending": 2} == counts(outbox)

    def test_what_failed_is_not_run_again(self, outbox, session):
        """However short a wait chance would give it: it waits for the longest."""

        @order_paid.connect
        @durable("billing.broken", retry=Retry(attempts=9, first_delay=60))
        def broken(sender, **extra):
            raise LookupError

        send(outbox, session, *range(30))
        assert 30 == drain(outbox, raise_errors=False).failed
        waits = [(row.due_at - row.created_at).total_seconds() for row in rows(outbox)]
        assert min(waits) >= 60

    def test_are_returned_if_that_is_wanted(self, outbox, session):
        """``raise_errors=False`` is for a test of what happens to failures."""

        @order_paid.connect
        @durable("billing.broken", retry=Retry(attempts=1))
        def broken(sender, *, order_id, **extra):
            raise LookupError(order_id)

        send(outbox, session, 7)
        ran = drain(outbox, raise_errors=False)

        assert (0, 1, 1, 1) == (ran.done, ran.failed, ran.dead, ran.attempts)
        assert ["LookupError(7)"] == [repr(each) for each in ran.errors]
        assert {"dead": 1} == counts(outbox)

    def test_giving_up_is_an_error(self, outbox, session):
        """``GiveUp`` makes a dead letter at once, and is raised."""

        @order_paid.connect
        @durable("billing.broken")
        def broken(sender, **extra):
            raise GiveUp("the customer is gone")

        send(outbox, session, 7)
        with pytest.raises(ExceptionGroup, match="an attempt at durable deliveries failed") as info:
            drain(outbox)
        assert ["the customer is gone"] == [str(each) for each in info.value.exceptions]
        assert {"dead": 1} == counts(outbox)

    def test_calling_later_is_none(self, outbox, session):
        """``RetryLater`` is no failure, and the delivery waits."""

        @order_paid.connect
        @durable("billing.busy")
        def busy(sender, **extra):
            raise RetryLater(seconds=60)

        send(outbox, session, 7)
        ran = drain(outbox)
        assert (0, 0, 1, []) == (ran.done, ran.failed, ran.later, ran.errors)
        assert {"pending": 1} == counts(outbox)

    def test_what_ends_programs(self, outbox, session):
        """What is no ``Exception``, such as ``pytest.fail`` or ``sys.exit``, is raised as well."""

        @order_paid.connect
        @durable("billing.broken")
        def broken(sender, **extra):
            raise SystemExit(3)

        send(outbox, session, 7)
        with pytest.raises(BaseExceptionGroup) as info:
            drain(outbox)
        assert [SystemExit] == [type(each) for each in info.value.exceptions]


class TestLater:
    def test_delays_and_backoffs_take_no_time(self, outbox, session, engine):
        """``later=True`` runs a delayed delivery, and all attempts of one that fails."""
        attempts = []

        @order_paid.connect
        @durable("billing.remind", delay=86_400, retry=Retry(attempts=5, first_delay=600))
        def remind(sender, **extra):
            attempts.append(current_delivery().attempt)
            if len(attempts) < 3:
                raise ConnectionError

        send(outbox, session, 7)
        assert 0 == drain(outbox).attempts
        ran = drain(outbox, later=True, raise_errors=False)

        assert (1, 2, [1, 2, 3]) == (ran.done, ran.failed, attempts)

    def test_goes_on_to_the_dead_letter(self, outbox, session):
        """A delivery that never succeeds is a dead letter in the end."""

        @order_paid.connect
        @durable("billing.broken", retry=Retry(attempts=4))
        def broken(sender, **extra):
            raise ConnectionError

        send(outbox, session, 7)
        ran = drain(outbox, later=True, raise_errors=False)

        assert (4, 1) == (ran.failed, ran.dead)

    def test_keeps_the_order_of_times(self, outbox, session):
        """What is due sooner runs sooner."""
        heard = []
        for number, delay in enumerate([900, 30, 600]):

            @order_paid.connect
            @durable(f"billing.{number}", delay=delay)
            def remind(sender, *, delay=delay, **extra):
                heard.append(delay)

        send(outbox, session, 7)
        drain(outbox, later=True)
        assert [30, 600, 900] == heard

    def test_comes_to_an_end(self, outbox, session):
        """A receiver that always asks to be called later is an error, not an endless test."""

        @order_paid.connect
        @durable("billing.busy")
        def busy(sender, **extra):
            raise RetryLater(seconds=60)

        send(outbox, session, 7)
        with pytest.raises(AssertionError, match=r"'billing.busy' has asked 100 times"):
            drain(outbox, later=True)

    def test_a_key_is_blocked_by_its_first(self, outbox, session):
        """What waits behind a failing delivery runs after it."""
        heard = []

        @order_paid.connect
        @durable("billing.books", key=lambda sender, order_id: sender)
        def enter(sender, *, order_id, **extra):
            heard.append(order_id)
            if heard == [7]:
                raise ConnectionError

        send(outbox, session, 7, 8)
        assert 1 == drain(outbox, raise_errors=False).attempts
        drain(outbox, later=True)
        assert [7, 7, 8] == heard


class TestWhoseOutbox:
    def test_the_current_flask_apps(self, engine, session, receipt):
        """Without an argument, it is the app's, whose context the receivers get."""
        from aldis.flask import Aldis

        app = flask.Flask("shop")
        Aldis(app, outbox=Outbox(session))
        seen = []

        @order_paid.connect
        @durable("billing.look")
        def look(sender, **extra):
            seen.append(flask.current_app.name)

        with app.app_context():
            session.begin()
            order_paid.send("harbour", order_id=7)
            session.commit()
            assert 2 == drain().done
            order_paid.send("harbour", order_id=8)
        assert 2 == drain(app=app).done
        assert ["shop", "shop"] == seen

    @pytest.mark.parametrize("app", [None, flask.Flask("bare")])
    def test_nobodys(self, app):
        """Where there is none, it says how to name one."""
        with pytest.raises(NoSessionError, match=r"There is no current app with an outbox; give"):
            drain(app=app)


class TestDatabasesInMemory:
    def test_a_transaction_that_was_left_open(self):
        """On the only connection, the test's own transaction is in the way: that is said."""
        with scenes.in_memory() as engine, Session(engine) as session:
            outbox = Outbox(engine=engine)
            outbox.prepare()
            session.execute(select(notes))
            with pytest.raises(OutboxError, match=r"transaction open on it: commit or roll back"):
                drain(outbox)
            session.rollback()
            assert 0 == drain(outbox).attempts

    def test_one_for_each_thread(self):
        """Receivers would see another, empty database: that is said."""
        engine = create_engine("sqlite://")
        scenes.create_tables(engine)
        with pytest.raises(OutboxError, match=r"make one for all: create_engine\('sqlite://', poo"):
            drain(Outbox(engine=engine))
        engine.dispose()

    def test_without_any_database(self):
        """Deliveries in memory need none."""
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
        """With a session and deliveries in memory, a suite that never commits can drain."""
        with scenes.sqlite(tmp_path / "shop.db") as engine, engine.connect() as connection:
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


class TestAdrain:
    async def test_runs_in_the_tests_loop(self, outbox, session, engine, receipt):
        """Async receivers run in the loop of the test, sync ones in a thread."""
        loops = []

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, *, order_id, **extra):
            await asyncio.sleep(0)
            write(current_delivery().session, f"waited for {order_id}")
            loops.append(asyncio.get_running_loop())

        send(outbox, session, 7)

        assert 2 == (await adrain(outbox)).done
        assert [asyncio.get_running_loop()] == loops
        assert {"harbour 7", "waited for 7"} == set(written(engine))

    async def test_an_async_database(self, tmp_path):
        """With an async engine, receivers get an AsyncSession."""
        with scenes.sqlite(tmp_path / "shop.db") as engine:
            await self.check_async(f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}")
            assert ["async 7"] == written(engine)

    async def check_async(self, url):
        """Send in an AsyncSession and deliver."""
        engine = create_async_engine(url)
        sessions = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        outbox = Outbox(sessions)

        @order_paid.connect
        @durable("billing.receipt", delay=60)
        async def receipt(sender, *, order_id, **extra):
            session = current_delivery().session
            assert isinstance(session, AsyncSession)
            assert session is not theirs
            await session.execute(notes.insert().values(text=f"async {order_id}"))

        theirs = sessions()
        async with theirs as session, session.begin():
            with outbox.using():
                order_paid.send("harbour", order_id=7)
        assert 0 == (await adrain(outbox)).attempts
        assert 1 == (await adrain(outbox, later=True)).done
        await engine.dispose()

    async def test_an_async_database_in_memory(self):
        """A transaction that was left open is said to be in the way there, too."""
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        outbox = Outbox(engine=engine)
        heard = []

        @order_paid.connect
        @durable("billing.receipt")
        async def receipt(sender, *, order_id, **extra):
            heard.append(order_id)

        async with engine.begin() as connection:
            await connection.run_sync(scenes.create_tables)
        async with AsyncSession(engine) as session:
            with outbox.using(session):
                async with session.begin():
                    order_paid.send("harbour", order_id=7)
                    await session.execute(select(notes))
                    with pytest.raises(OutboxError, match="has one connection only"):
                        await adrain(outbox)
        assert 1 == (await adrain(outbox)).done
        assert [7] == heard
        await engine.dispose()

    async def test_errors_are_raised(self, outbox, session):
        """What receivers raise comes in a group, as from ``drain``."""

        @order_paid.connect
        @durable("billing.broken")
        async def broken(sender, **extra):
            raise LookupError

        send(outbox, session, 7)
        with pytest.raises(ExceptionGroup, match="an attempt at durable deliveries failed"):
            await adrain(outbox)

    async def test_drain_refuses_what_is_async(self, outbox):
        """In an event loop, ``drain`` says what to call instead."""

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, **extra): ...

        with pytest.raises(AsyncReceiverError, match=r"use await adrain\(\) instead of drain\(\)"):
            drain(outbox)

    async def test_drain_does_for_what_is_sync(self, outbox, session, receipt):
        """Where nothing is async but the test, ``drain`` works."""
        send(outbox, session, 7)
        assert 1 == drain(outbox, receivers=["billing.receipt"]).done


class TestDrainOfAsyncReceivers:
    def test_makes_a_loop(self, outbox, session):
        """A test that is not async can drain async receivers all the same."""
        heard = []

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, *, order_id, **extra):
            await asyncio.sleep(0)
            heard.append(order_id)

        send(outbox, session, 7)
        assert 1 == drain(outbox).done
        assert [7] == heard

    def test_on_an_async_database(self, tmp_path):
        """So with an async engine, if no connection outlives its loop."""
        heard = []
        url = f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}"
        outbox = Outbox(engine=create_async_engine(url, poolclass=NullPool))

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, *, order_id, **extra):
            heard.append(order_id)

        with scenes.sqlite(tmp_path / "shop.db") as engine:
            recording = Outbox(engine=engine)
            with Session(engine) as session, session.begin(), recording.using(session):
                order_paid.send("harbour", order_id=7)
            assert 1 == drain(outbox).done
        assert [7] == heard


class TestDelivering:
    def test_a_receiver_that_asks(self, engine):
        """A receiver that is called directly gets the test's session, and what else is said."""

        @durable("billing.receipt")
        def receipt(sender, *, order_id, **extra):
            delivery = current_delivery()
            write(delivery.session, f"{order_id} at attempt {delivery.attempt}")
            return delivery.key

        with Session(engine) as session:
            with delivering(session, attempt=3, receiver="billing.receipt", emission_id="a"):
                key = receipt("harbour", order_id=7)
            session.commit()

        assert "a:billing.receipt" == key
        assert ["7 at attempt 3"] == written(engine)

    def test_without_a_session(self):
        """One that asks for a session then is told how to give one."""
        with delivering() as delivery:
            assert delivery is current_delivery()
            assert (1, None) == (delivery.attempt, delivery.cause)
            with pytest.raises(NoSessionError, match=r"with delivering\(session\)"):
                _ = delivery.session

    def test_each_is_another(self):
        """Keys are unique, and what was before is there again."""
        with delivering() as first, delivering() as second:
            assert first.key != second.key
        with pytest.raises(NoDeliveryError, match=r"with aldis.testing.delivering\(session\)"):
            current_delivery()


class TestInterrupted:
    def test_what_was_not_run_stays(self, outbox, session):
        """Where drain itself fails, what it had is pending and has all its attempts."""

        @order_paid.connect
        @durable("billing.busy")
        def busy(sender, **extra):
            raise RetryLater(seconds=0)

        send(outbox, session, 7)
        with pytest.raises(AssertionError):
            drain(outbox)
        (row,) = rows(outbox)
        assert ("PENDING", 0) == (row.state.name, row.attempts)
