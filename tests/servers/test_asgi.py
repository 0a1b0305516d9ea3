"""SignalsMiddleware on real ASGI servers under concurrent requests."""

import asyncio
from collections import defaultdict
from contextlib import ExitStack, contextmanager

import fastapi
import pytest
from fastapi.responses import PlainTextResponse, StreamingResponse

from aldis import asgi
from aldis.asgi import SignalsMiddleware
from tests.asgi.client import EVERY
from tests.servers.running import get_all, leave, on_hypercorn, on_uvicorn, talk, wait_until

ORDER = {
    "page": ["request-started", "endpoint", "request-finished", "request-tearing-down"],
    "missing": ["request-started", "request-finished", "request-tearing-down"],
    "fail": ["request-started", "endpoint", "got-request-exception", "request-tearing-down"],
    "stream": [
        *("request-started", "endpoint", "request-finished"),
        *("streaming", "streaming", "request-tearing-down"),
    ],
}
STATUS = {"page": 200, "missing": 404, "fail": 500, "stream": 200}
ROUNDS = 15
PATHS = [f"/{kind}/{number}" for number in range(ROUNDS) for kind in ORDER]
MESSAGES = [
    "websocket-started",
    *("websocket-received", "websocket-sent") * 2,
    "websocket-finished",
    "websocket-tearing-down",
]


class Listener:
    """Records every signal of an application, by the path of the current request."""

    def __init__(self):
        self.by_path = defaultdict(list)
        self.senders = set()

    def note(self, name, **payload):
        """Record an event of the current request."""
        self.by_path[asgi.current_scope()["path"]].append((name, payload))

    def names(self, path):
        """Return the events of the request for ``path``."""
        return [name for name, _ in self.by_path[path]]

    @contextmanager
    def listening(self):
        """Connect a receiver to each signal, sync ones and async ones by turns."""
        with ExitStack() as stack:
            for number, signal in enumerate(EVERY):
                receiver = self._async(signal) if number % 2 else self._sync(signal)
                stack.enter_context(signal.connected_to(receiver))
            yield

    def _sync(self, signal):
        def receiver(sender, **payload):
            self.senders.add(sender)
            self.note(signal.name, **payload)

        return receiver

    def _async(self, signal):
        async def receiver(sender, **payload):
            await asyncio.sleep(0)
            self.senders.add(sender)
            self.note(signal.name, **payload)

        return receiver


def make_app(listener):
    """Make a FastAPI application that records its steps."""
    app = fastapi.FastAPI()
    app.add_middleware(SignalsMiddleware)

    @app.get("/page/{number}")
    async def page(number: int):
        listener.note("endpoint")
        await asyncio.sleep(0.001)
        return PlainTextResponse(f"page {number}")

    @app.get("/fail/{number}")
    async def fail(number: int):
        listener.note("endpoint")
        raise LookupError(number)

    @app.get("/stream/{number}")
    async def stream(number: int):
        async def parts():
            for _ in range(2):
                listener.note("streaming")
                yield f"{number} "
                await asyncio.sleep(0.001)

        listener.note("endpoint")
        return StreamingResponse(parts())

    return add_long_ones(app)


def add_long_ones(app):
    """Add endless streams and a websocket to ``app``."""

    @app.get("/endless")
    async def endless():
        async def parts():
            while True:
                yield "." * 1000
                await asyncio.sleep(0.001)

        return StreamingResponse(parts())

    @app.websocket("/ws")
    async def echo(websocket: fastapi.WebSocket):
        await websocket.accept()
        for _ in range(2):
            await websocket.send_text("aye " + await websocket.receive_text())
        await websocket.close()

    return app


@pytest.fixture(params=[on_hypercorn, on_uvicorn])
def serve(request):
    """Give each server."""
    return request.param


class TestConcurrentRequests:
    def test_each_has_its_signals_in_order(self, serve):
        """Each page, error and stream sends its signals in order, for the right request."""
        listener = Listener()
        app = make_app(listener)
        with listener.listening(), serve(app) as port:
            answers = get_all(port, PATHS)
        assert {path: STATUS[kind_of(path)] for path in PATHS} == {
            path: status for path, (status, _) in answers.items()
        }
        assert set(PATHS) == listener.by_path.keys()
        for path in PATHS:
            assert ORDER[kind_of(path)] == listener.names(path)
            check_payload(path, dict(listener.by_path[path]))
        assert {app} == listener.senders

    def test_a_client_that_leaves(self, serve):
        """A stream whose client left is torn down without an exception."""
        listener = Listener()
        with listener.listening(), serve(make_app(listener)) as port:
            for _ in range(3):
                leave(port, "/endless")
            wait_until(lambda: listener.names("/endless").count("request-tearing-down") == 3)
        assert {"request-started", "request-finished", "request-tearing-down"} == set(
            listener.names("/endless")
        )

    def test_a_server_that_stops(self, serve):
        """Requests that run when the server stops are cancelled and torn down."""
        listener, reached = Listener(), []

        async def forever(scope, receive, send):
            if scope["type"] == "lifespan":
                await lifespan(receive, send)
            else:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b".", "more_body": True})
                reached.append(scope["path"])
                await asyncio.Event().wait()

        with listener.listening(), serve(SignalsMiddleware(forever)) as port:
            leave(port, "/forever")
            wait_until(lambda: reached)
        assert ["request-started", "request-finished", "request-tearing-down"] == (
            listener.names("/forever")
        )
        [(_, payload)] = listener.by_path["/forever"][-1:]
        assert isinstance(payload["exc"], asyncio.CancelledError)

    def test_a_websocket(self, serve):
        """A conversation sends its signals, with the message or the application as sender."""
        listener = Listener()
        app = make_app(listener)
        with listener.listening(), serve(app) as port:
            assert ["aye ahoy", "aye bye"] == talk(port, "/ws", "ahoy", "bye")
            wait_until(lambda: listener.names("/ws")[-1] == "websocket-tearing-down")
        assert MESSAGES == listener.names("/ws")
        assert {app, "ahoy", "aye ahoy", "bye", "aye bye"} == listener.senders


async def lifespan(receive, send):
    """Start up and shut down with nothing to do."""
    for kind in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{kind}.complete"})


def kind_of(path):
    """Return the first part of a path."""
    return path.split("/")[1]


def check_payload(path, payloads):
    """Check that the payloads of the signals belong to this request."""
    kind = kind_of(path)
    if kind == "fail":
        error = payloads["got-request-exception"]["exception"]
        assert (int(path.split("/")[2]),) == error.args
        assert error is payloads["request-tearing-down"]["exc"]
    else:
        assert STATUS[kind] == payloads["request-finished"]["response"].status
        assert payloads["request-tearing-down"]["exc"] is None
