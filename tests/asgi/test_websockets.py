"""The signals of a websocket around any ASGI application. They are Quart's."""

import asyncio

import pytest

from aldis import asgi
from aldis.asgi import ResponseInfo, SignalsMiddleware
from tests.asgi.client import Client, names, recorded

INCOMING = [
    {"type": "websocket.connect"},
    {"type": "websocket.receive", "text": "ahoy"},
    {"type": "websocket.receive", "text": None, "bytes": b"\x01"},
    {"type": "websocket.disconnect", "code": 1000},
]


async def echo(scope, receive, send):
    """Send each message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        content = {key: message[key] for key in ("text", "bytes") if key in message}
        await send({"type": "websocket.send", **content})


async def broken(scope, receive, send):
    """Fail at once."""
    await receive()
    raise LookupError("no such lamp")


def visitor(app, **options):
    """Make a client that says two things."""
    return Client(SignalsMiddleware(app), kind="websocket", incoming=INCOMING, **options)


class TestOrder:
    async def test_a_conversation(self):
        """A conversation sends started, a signal for each message in and out, and the end."""
        with recorded() as calls:
            await visitor(echo).visit()
        assert [
            ("websocket-started", echo, {}),
            ("websocket-received", "ahoy", {}),
            ("websocket-sent", "ahoy", {}),
            ("websocket-received", b"\x01", {}),
            ("websocket-sent", b"\x01", {}),
            ("websocket-finished", echo, {"response": None}),
            ("websocket-tearing-down", echo, {"exc": None}),
        ] == calls

    async def test_an_exception(self):
        """An exception sends the websocket's signal, and no response signal."""
        with recorded() as calls, pytest.raises(LookupError) as raised:
            await visitor(broken).visit()
        assert [
            ("websocket-started", broken, {}),
            ("got-websocket-exception", broken, {"exception": raised.value}),
            ("websocket-tearing-down", broken, {"exc": raised.value}),
        ] == calls

    async def test_received_comes_before_the_application_has_it(self):
        """websocket_received comes before the app gets the message. websocket_sent comes after."""
        order = []
        client = visitor(None)

        async def app(scope, receive, send):
            await receive()
            await receive()
            order.append("app")
            await send({"type": "websocket.send", "text": "aye"})

        def received(sender):
            order.append(f"received {sender}")

        def sent(sender):
            order.append(f"sent {sender}, {len(client.got)} on its way")

        client.app = SignalsMiddleware(app)
        with (
            asgi.websocket_received.connected_to(received),
            asgi.websocket_sent.connected_to(sent),
        ):
            await client.visit()
        assert ["received ahoy", "app", "sent aye, 1 on its way"] == order

    async def test_a_refusal_with_a_response(self):
        """An application that responds instead of accepting finishes with that response."""

        async def refuse(scope, receive, send):
            await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})

        with recorded(asgi.websocket_finished, asgi.request_finished) as calls:
            await visitor(refuse).visit()
        assert [("websocket-finished", refuse, {"response": ResponseInfo(403)})] == calls


class TestReceivers:
    async def test_async_ones_for_one_message(self):
        """A receiver may be connected for one text: it is the sender, compared by value."""
        heard = []

        async def receiver(sender):
            heard.append((sender, asgi.current_scope()["path"]))

        with asgi.websocket_received.connected_to(receiver, "ahoy"):
            await visitor(echo, path="/deck").visit()
        assert [("ahoy", "/deck")] == heard


class TestEndings:
    async def test_the_client_leaves_while_something_is_sent(self):
        """If the client leaves during a send, the message does not count as sent."""
        with recorded() as calls, pytest.raises(OSError, match="the client is gone") as raised:
            await visitor(echo, leaves_after=1).visit()
        assert ["websocket-started", "websocket-received", "websocket-tearing-down"] == names(calls)
        assert {"exc": raised.value} == calls[-1][2]

    async def test_cancelled(self):
        """A cancelled websocket is torn down without a finished signal."""

        async def wait(scope, receive, send):
            await asyncio.Event().wait()

        with recorded() as calls:
            task = asyncio.create_task(visitor(wait).visit())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled()
        assert ["websocket-started", "websocket-tearing-down"] == names(calls)
        assert isinstance(calls[-1][2]["exc"], asyncio.CancelledError)

    async def test_every_receiver_of_the_teardown_runs(self):
        """After a receiver that raises, the next one still runs."""

        def fail(sender, exc):
            raise ValueError("cannot close")

        with (
            asgi.websocket_tearing_down.connected_to(fail),
            recorded(asgi.websocket_tearing_down) as calls,
            pytest.raises(ValueError, match="cannot close"),
        ):
            await visitor(echo).visit()
        assert ["websocket-tearing-down"] == names(calls)
