"""A request can end before its response: the client leaves, or the task is cancelled."""

import asyncio
import logging
import sys
from contextlib import suppress

import anyio
import pytest

from aldis import asgi
from aldis.asgi import SignalsMiddleware
from tests.asgi.client import Client, names, recorded

START = {"type": "http.response.start", "status": 200}


async def stream(scope, receive, send):
    """Send a response in three parts."""
    await send(START)
    for _ in range(3):
        await send({"type": "http.response.body", "body": b".", "more_body": True})


async def endless(scope, receive, send):
    """Start a response and wait for something that never comes."""
    await send(START)
    await asyncio.Event().wait()


async def cancelled(client):
    """Visit, cancel the task while the application waits, and return the task when it is done."""
    task = asyncio.create_task(client.visit())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    return task


class TestClientLeaves:
    async def test_while_the_response_is_sent(self):
        """An error of the server's ``send`` ends the request without an exception signal."""
        with recorded() as calls, pytest.raises(OSError, match="the client is gone") as raised:
            await Client(SignalsMiddleware(stream), leaves_after=2).visit()
        assert ["request-started", "request-finished", "request-tearing-down"] == names(calls)
        assert {"exc": raised.value} == calls[-1][2]

    async def test_a_frameworks_name_for_it(self):
        """A framework's exception from the server's error means that the client left."""

        class ClientDisconnectError(Exception):
            """An exception as a framework raises it."""

        async def framework(scope, receive, send):
            try:
                await stream(scope, receive, send)
            except OSError:
                raise ClientDisconnectError  # noqa: B904 - as a framework does it

        with recorded() as calls, pytest.raises(ClientDisconnectError) as raised:
            await Client(SignalsMiddleware(framework), leaves_after=1).visit()
        assert ["request-started", "request-finished", "request-tearing-down"] == names(calls)
        assert {"exc": raised.value} == calls[-1][2]

    async def test_an_error_of_the_applications_own(self):
        """An OSError of the app itself is an exception, also after the client left."""

        async def app(scope, receive, send):
            with suppress(OSError):
                await send(START)
            raise OSError("disk full")

        with recorded() as calls, pytest.raises(OSError, match="disk full"):
            await Client(SignalsMiddleware(app), leaves_after=0).visit()
        assert "got-request-exception" in names(calls)

    async def test_a_message_says_so(self):
        """An application may return after ``http.disconnect`` without an exception."""

        async def app(scope, receive, send):
            while (await receive())["type"] != "http.disconnect":
                pass

        incoming = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]
        with recorded() as calls:
            await Client(SignalsMiddleware(app), incoming=incoming).visit()
        assert ["request-started", "request-tearing-down"] == names(calls)
        assert {"exc": None} == calls[-1][2]


class TestCancelled:
    async def test_is_no_exception_and_tears_down(self):
        """A cancelled request is torn down with the CancelledError, and its task is cancelled."""
        with recorded() as calls:
            task = await cancelled(Client(SignalsMiddleware(endless)))
        assert task.cancelled()
        assert ["request-started", "request-finished", "request-tearing-down"] == names(calls)
        assert isinstance(calls[-1][2]["exc"], asyncio.CancelledError)

    async def test_async_receivers_can_wait(self):
        """An async receiver of the teardown is awaited in the task of the request."""
        closed = []

        async def close(sender, exc):
            await asyncio.sleep(0.01)
            closed.append(asyncio.current_task())

        with asgi.request_tearing_down.connected_to(close):
            task = await cancelled(Client(SignalsMiddleware(endless)))
        assert [task] == closed

    async def test_an_error_of_the_teardown_does_not_undo_it(self, caplog):
        """If a teardown receiver raises, the error is logged and the task is cancelled."""

        def fail(sender, exc):
            raise ValueError("cannot close")

        with (
            caplog.at_level(logging.ERROR, "aldis"),
            asgi.request_tearing_down.connected_to(fail),
        ):
            task = await cancelled(Client(SignalsMiddleware(endless)))
        assert task.cancelled()
        assert ["cannot close"] == [str(record.exc_info[1]) for record in caplog.records]

    async def test_during_the_teardown(self):
        """A cancellation interrupts the waiting receiver.

        The others run, and then the task is cancelled.
        """
        heard = []

        async def wait(sender, exc):
            await asyncio.Event().wait()

        async def later(sender, exc):
            await asyncio.sleep(0)
            heard.append("later")

        async def app(scope, receive, send):
            await send(START)

        with (
            asgi.request_tearing_down.connected_to(wait),
            asgi.request_tearing_down.connected_to(later),
        ):
            task = await cancelled(Client(SignalsMiddleware(app)))
        assert task.cancelled()
        assert ["later"] == heard

    async def test_in_a_scope_of_anyio(self):
        """A cancelled scope of anyio cancels each await, but not those of a teardown."""
        closed = []

        async def close(sender, exc):
            await asyncio.sleep(0.01)
            closed.append(sender)

        async def later(sender, exc):
            await asyncio.sleep(0.01)
            closed.append(sender)

        with (
            asgi.request_tearing_down.connected_to(close),
            asgi.request_tearing_down.connected_to(later),
            anyio.move_on_after(0.01) as scope,
        ):
            await Client(SignalsMiddleware(endless)).visit()
        assert scope.cancelled_caught
        assert [endless, endless] == closed

    async def test_without_anyio(self, monkeypatch):
        """The middleware works without anyio."""
        monkeypatch.delitem(sys.modules, "anyio", raising=False)
        with recorded() as calls:
            task = await cancelled(Client(SignalsMiddleware(endless)))
        assert task.cancelled()
        assert "request-tearing-down" == calls[-1][0]

    def test_a_coroutine_that_is_thrown_away(self):
        """When a loop ends and closes a waiting coroutine, the request is torn down, too."""

        class Forever:
            def __await__(self):
                yield

        async def app(scope, receive, send):
            await Forever()

        with recorded() as calls:
            visit = Client(SignalsMiddleware(app)).visit()
            visit.send(None)
            visit.close()
        assert ["request-started", "request-tearing-down"] == names(calls)
        assert isinstance(calls[-1][2]["exc"], GeneratorExit)
