"""``durable`` given what it cannot use: refused where it is written, not at night."""

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from aldis.durable import Outbox, Worker, durable
from aldis.errors import AsyncReceiverError, OutboxError, RetryLater
from aldis.testing import MemoryStore, drain
from tests.durable.scenes import order_paid, rows

pytestmark = pytest.mark.usefixtures("aldis_clean")


@pytest.fixture
def outbox():
    """Give an outbox in memory, in use."""
    outbox = Outbox(store=MemoryStore())
    with outbox.using():
        yield outbox


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"retry": 5}, r"retry= must be a Retry, such as Retry\(attempts=5\), not 5"),
            ({"key": "order_id"}, "key= of durable receiver 'test.receipt' must be a function"),
            ({"payload": {}}, "payload= of durable receiver 'test.receipt' must be a function"),
            ({"upgrade": 1}, "upgrade= of durable receiver 'test.receipt' must be a function"),
            ({"aliases": "old"}, r"aliases= must be a list of names, such as \['old'\], not text"),
            ({"delay": "5s"}, "seconds must be a finite number, 0 or greater, not '5s'"),
        ],
    )
    def test_of_another_kind(self, options, words):
        """Each is answered with what it should be."""
        with pytest.raises(TypeError, match=words):
            durable("test.receipt", **options)

    def test_a_time_limit_in_words(self):
        """A time limit is a number of seconds."""
        with pytest.raises(
            ValueError, match="timeout= must be a number of seconds above 0, not '30s'"
        ):
            durable("test.receipt", timeout="30s")

    def test_later_in_words(self):
        """So is the time after which a receiver asks to be called again."""
        with pytest.raises(TypeError, match="seconds must be a finite number, 0 or greater"):
            RetryLater(seconds="5s")

    def test_one_name_for_several(self, outbox):
        """Names of receivers come in a list, and text is not taken for one of letters."""
        words = r"receivers= must be a list of names, such as \['test.receipt'\], not text"
        with pytest.raises(TypeError, match=words):
            drain(outbox, receivers="test.receipt")
        with pytest.raises(TypeError, match=words):
            Worker(outbox, receivers="test.receipt").drain()


class TestWhoseSession:
    def test_a_session_class(self):
        """It makes a new session each time, as a sessionmaker does."""
        with pytest.raises(OutboxError, match="a class makes a new one at each call; give it a"):
            Outbox(Session)

    @pytest.mark.parametrize("address", ["sqlite://", make_url("sqlite://:secret@/x")])
    def test_an_address(self, address):
        """It is no session, and no engine either; a password in it is not shown."""
        with pytest.raises(OutboxError, match=r"Outbox\(engine=engine\), not a URL$"):
            Outbox(address)

    @pytest.mark.parametrize("make", [create_engine, create_async_engine])
    def test_an_engine(self, make):
        """An engine in the session's place is answered with where it belongs."""
        engine = make("sqlite+aiosqlite://" if make is create_async_engine else "sqlite://")
        with pytest.raises(OutboxError, match=r"an engine by keyword, Outbox\(engine=engine\)"):
            Outbox(engine)


class TestNothingWouldRun:
    def test_a_generator(self):
        """Calling it runs none of it: its deliveries would be done with nothing done."""

        def receipt(sender, **extra):
            yield "receipt"

        async def async_receipt(sender, **extra):
            yield "receipt"

        for each in (receipt, async_receipt):
            with pytest.raises(
                TypeError, match="is a generator function: calling it runs none of its code"
            ):
                durable("test.receipt")(each)

    def test_a_coroutine_that_nobody_awaits(self, outbox):
        """A function that only returns one has not run: a failed attempt, and not done."""

        async def write(order_id):
            raise AssertionError(order_id)

        @order_paid.connect
        @durable("test.receipt")
        def receipt(sender, *, order_id, **extra):
            return write(order_id)

        order_paid.send("harbour", order_id=7)
        drained = drain(outbox, raise_errors=False)

        (error,) = drained.errors
        assert (0, 1, AsyncReceiverError) == (drained.done, drained.failed, type(error))
        assert "returned a coroutine but is not an async function" in str(error)
        assert 1 == len(rows(outbox))
