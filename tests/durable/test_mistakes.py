"""``durable`` and ``Outbox`` refuse wrong arguments at once."""

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from aldis.durable import Outbox, Worker, durable
from aldis.errors import AsyncReceiverError, OutboxError, RetryLater
from aldis.testing import MemoryStore, drain
from tests.durable.support import order_paid, rows

pytestmark = pytest.mark.usefixtures("aldis_clean")


@pytest.fixture
def outbox():
    """Provide an outbox in memory, in use."""
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
        """An argument of a wrong type is refused with the right one."""
        with pytest.raises(TypeError, match=words):
            durable("test.receipt", **options)

    def test_a_time_limit_in_words(self):
        """A time limit must be a number."""
        with pytest.raises(
            ValueError, match="timeout= must be a number of seconds above 0, not '30s'"
        ):
            durable("test.receipt", timeout="30s")

    def test_later_in_words(self):
        """The seconds of ``RetryLater`` must be a number."""
        with pytest.raises(TypeError, match="seconds must be a finite number, 0 or greater"):
            RetryLater(seconds="5s")

    def test_text_instead_of_a_list_of_names(self, outbox):
        """Text in place of a list of names is refused."""
        words = r"receivers= must be a list of names, such as \['test.receipt'\], not text"
        with pytest.raises(TypeError, match=words):
            drain(outbox, receivers="test.receipt")
        with pytest.raises(TypeError, match=words):
            Worker(outbox, receivers="test.receipt").drain()


class TestSessionOfTheOutbox:
    def test_a_session_class(self):
        """A session class is refused, because it makes a new session at each call."""
        with pytest.raises(OutboxError, match="a class makes a new one at each call; give it a"):
            Outbox(Session)

    @pytest.mark.parametrize("address", ["sqlite://", make_url("sqlite://:secret@/x")])
    def test_an_address(self, address):
        """A URL in place of the session is refused, and its password is not shown."""
        with pytest.raises(OutboxError, match=r"Outbox\(engine=engine\), not a URL$"):
            Outbox(address)

    @pytest.mark.parametrize("make", [create_engine, create_async_engine])
    def test_an_engine(self, make):
        """An engine in place of the session is refused with the right argument."""
        engine = make("sqlite+aiosqlite://" if make is create_async_engine else "sqlite://")
        with pytest.raises(OutboxError, match=r"an engine by keyword, Outbox\(engine=engine\)"):
            Outbox(engine)


class TestNothingWouldRun:
    def test_a_generator(self):
        """A generator function is refused, because calling it runs none of its code."""

        def receipt(sender, **extra):
            yield "receipt"

        async def async_receipt(sender, **extra):
            yield "receipt"

        for each in (receipt, async_receipt):
            with pytest.raises(
                TypeError, match="is a generator function: calling it runs none of its code"
            ):
                durable("test.receipt")(each)

    def test_a_sync_receiver_that_returns_a_coroutine(self, outbox):
        """A sync receiver that returns a coroutine has failed."""

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
