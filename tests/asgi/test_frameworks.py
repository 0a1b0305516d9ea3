"""The middleware in Starlette and FastAPI, inside the application and around it."""

import asyncio

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from aldis import asgi
from aldis.asgi import SignalsMiddleware
from tests.asgi.client import Client, names, recorded


async def hello(request):
    """Answer."""
    return PlainTextResponse("hello")


async def fail(request):
    """Raise an exception that the application does not handle."""
    raise LookupError("no such lamp")


async def stream(request):
    """Send parts."""

    async def parts():
        for _ in range(3):
            yield b"."

    return StreamingResponse(parts())


async def endless(request):
    """Send parts for ever."""

    async def parts():
        while True:
            yield b"."
            await asyncio.sleep(0.001)

    return StreamingResponse(parts())


async def wait(request):
    """Never answer."""
    await asyncio.Event().wait()


async def greet(websocket):
    """Take one message and answer it."""
    await websocket.accept()
    await websocket.send_text("aye " + await websocket.receive_text())
    await websocket.close()


def make_app():
    """Make a Starlette application."""
    return Starlette(
        routes=[
            Route("/", hello),
            Route("/fail", fail),
            Route("/stream", stream),
            Route("/endless", endless),
            Route("/wait", wait),
            WebSocketRoute("/ws", greet),
            Mount("/sub", Starlette(routes=[Route("/", hello)])),
        ]
    )


def inside():
    """Add the middleware as Starlette's documentation has it."""
    app = make_app()
    app.add_middleware(SignalsMiddleware)
    return app, app


def around():
    """Wrap the whole application."""
    app = make_app()
    return app, SignalsMiddleware(app)


@pytest.fixture(params=[inside, around], ids=["inside", "around"])
def placed(request):
    """Return a Starlette app and the app for the server, for both places of the middleware."""
    return request.param()


class TestStarlette:
    @pytest.mark.parametrize("path", ["/", "/stream", "/sub/", "/missing"])
    async def test_a_request(self, placed, path):
        """The application is the sender, also for a mounted application and for an unknown path."""
        app, served = placed
        with recorded() as calls:
            await Client(served, path=path).visit()
        assert ["request-started", "request-finished", "request-tearing-down"] == names(calls)
        assert all(sender is app for _, sender, _ in calls)
        status = 404 if path == "/missing" else 200
        assert status == calls[1][2]["response"].status
        assert {"exc": None} == calls[2][2]

    async def test_an_exception_inside(self):
        """Inside the application, the middleware sees the exception but not the error page."""
        app, served = inside()
        client = Client(served, path="/fail")
        with recorded() as calls, pytest.raises(LookupError, match="no such lamp") as raised:
            await client.visit()
        assert [
            ("request-started", app, {}),
            ("got-request-exception", app, {"exception": raised.value}),
            ("request-tearing-down", app, {"exc": raised.value}),
        ] == calls
        assert 500 == client.got[0]["status"]

    async def test_an_exception_around(self):
        """Around the application, the middleware sees the error page first.

        Then Starlette raises.
        """
        _, served = around()
        with recorded() as calls, pytest.raises(LookupError, match="no such lamp"):
            await Client(served, path="/fail").visit()
        assert [
            "request-started",
            "request-finished",
            "got-request-exception",
            "request-tearing-down",
        ] == names(calls)
        assert 500 == calls[1][2]["response"].status

    async def test_the_client_leaves_a_stream(self, placed):
        """The teardown gets Starlette's ClientDisconnect, without an exception signal."""
        _, served = placed
        with recorded() as calls, pytest.raises(ClientDisconnect):
            await Client(served, path="/endless", leaves_after=3).visit()
        assert ["request-started", "request-finished", "request-tearing-down"] == names(calls)
        assert isinstance(calls[-1][2]["exc"], ClientDisconnect)

    async def test_a_websocket(self, placed):
        """The signals of a websocket have the application as sender, or the message."""
        app, served = placed
        incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "ahoy"}]
        with recorded() as calls:
            await Client(served, kind="websocket", path="/ws", incoming=incoming).visit()
        assert [
            ("websocket-started", app, {}),
            ("websocket-received", "ahoy", {}),
            ("websocket-sent", "aye ahoy", {}),
            ("websocket-finished", app, {"response": None}),
            ("websocket-tearing-down", app, {"exc": None}),
        ] == calls

    async def test_cancelled_by_another_middleware(self):
        """A request that Starlette cancels, because a middleware ended early, is torn down."""

        async def give_up(request, call_next):
            async with asyncio.timeout(0.01):
                return await call_next(request)

        app = make_app()
        app.add_middleware(SignalsMiddleware)
        app.add_middleware(BaseHTTPMiddleware, dispatch=give_up)
        closed = []

        async def close(sender, exc):
            await asyncio.sleep(0.005)
            closed.append((sender, type(exc)))

        with asgi.request_tearing_down.connected_to(close), pytest.raises(TimeoutError):
            await Client(app, path="/wait").visit()
        assert [(app, asyncio.CancelledError)] == closed


class TestFastAPI:
    async def test_a_request_and_an_exception(self):
        """Sync and async endpoints work. An HTTPException is a response, not an exception."""
        app = fastapi.FastAPI()
        app.add_middleware(SignalsMiddleware)

        @app.get("/")
        def index():
            return {"lamp": "on"}

        @app.get("/fail")
        async def failing():
            raise LookupError("no such lamp")

        @app.get("/gone")
        async def gone():
            raise fastapi.HTTPException(410)

        with recorded() as calls:
            await Client(app).visit()
            await Client(app, path="/gone").visit()
            with pytest.raises(LookupError, match="no such lamp"):
                await Client(app, path="/fail").visit()
        answered = ["request-started", "request-finished", "request-tearing-down"]
        failed = ["request-started", "got-request-exception", "request-tearing-down"]
        assert [*answered, *answered, *failed] == names(calls)
        assert all(sender is app for _, sender, _ in calls)
        assert [200, 410] == [calls[at][2]["response"].status for at in (1, 4)]
