"""One request through an app in this process, and what was sent meanwhile.

Flask's test client, or the fewest lines that WSGI and ASGI ask for.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from aldis.cli.blame import blame
from aldis.observe import Trace, trace

__all__ = ["Answer", "LifespanError", "Request", "send"]

PATIENCE: Final = 10.0  # seconds that an ASGI app gets to shut down

FORM: Final = "application/x-www-form-urlencoded"


class LifespanError(Exception):
    """An ASGI app could not start."""


@dataclass(slots=True)
class Request:
    """What is asked.

    Attributes:
        method: In upper case.
        path: From the slash on, with the query.
        headers: Names and values.
        body: What is sent along.
    """

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def __post_init__(self) -> None:
        names = {name.lower() for name, _ in self.headers}
        if self.body and "content-type" not in names:
            self.headers.append(("Content-Type", FORM))

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class Answer:
    """What came of it.

    Attributes:
        status: The HTTP status; 500 too when the app raised, since that is what a server makes of
            it; ``None`` when the app ended without an answer.
        error: What the app raised instead of answering.
        nanoseconds: How long it took, the answer's body included.
        seen: What was sent meanwhile.
        shutdown_error: What an ASGI app raised out of its lifespan once it had started.
    """

    status: int | None = None
    error: BaseException | None = None
    nanoseconds: int = 0
    seen: Trace = field(default_factory=Trace)
    shutdown_error: BaseException | None = None


def send(app: Any, request: Request) -> Answer:
    """Send ``request`` to ``app``: a Flask, WSGI or ASGI app.

    Raises:
        LifespanError: An ASGI app could not start.
    """
    if _is_asgi(app):
        return asyncio.run(_to_asgi(app, request))
    flask: Any = sys.modules.get("flask")
    call = _to_flask if flask is not None and isinstance(app, flask.Flask) else _to_wsgi
    answer = Answer()
    with trace(everywhere=False) as answer.seen:
        started = time.perf_counter_ns()
        try:
            answer.status = call(app, request)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as a server takes them
            answer.status, answer.error = 500, error
        answer.nanoseconds = time.perf_counter_ns() - started
    return answer


def _is_asgi(app: Any) -> bool:
    if inspect.iscoroutinefunction(app):
        return True
    call = getattr(type(app), "__call__", None)  # noqa: B004 - the method is wanted
    if inspect.iscoroutinefunction(call):
        return True
    try:
        names = list(inspect.signature(app).parameters)
    except (TypeError, ValueError):
        return False
    return names == ["scope", "receive", "send"]


def _to_flask(app: Any, request: Request) -> int:
    response = app.test_client().open(
        request.path,
        method=request.method,
        headers=request.headers,
        data=request.body,
        buffered=True,  # a stream is read to its end, and closed
    )
    status: int = response.status_code
    return status


def _to_wsgi(app: Callable[..., Any], request: Request) -> int | None:
    path, _, query = request.path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": True,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    status: int | None = None

    def start_response(line: str, _headers: Any, _error: Any = None) -> Callable[[bytes], None]:
        nonlocal status
        status = int(line.partition(" ")[0])
        return lambda _data: None

    body = app(environ, start_response)
    try:
        for _ in body:
            pass
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return status


# -- ASGI ------------------------------------------------------------------------------------------


async def _to_asgi(app: Any, request: Request) -> Answer:
    answer = Answer()
    async with _lifespan(app, answer) as state:
        with trace(everywhere=False) as answer.seen:
            started = time.perf_counter_ns()
            try:
                answer.status = await _exchange(app, request, state)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - as a server takes them
                answer.status, answer.error = 500, error
            answer.nanoseconds = time.perf_counter_ns() - started
    return answer


async def _exchange(app: Any, request: Request, state: dict[str, Any]) -> int | None:
    path, _, query = request.path.partition("?")
    headers = [("Host", "localhost"), ("Content-Length", str(len(request.body))), *request.headers]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path.encode("ascii", "replace"),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 0),
        "server": ("localhost", 80),
        "state": state.copy(),
    }
    unread = [{"type": "http.request", "body": request.body, "more_body": False}]
    answered = asyncio.Event()
    status: int | None = None

    async def receive() -> dict[str, Any]:
        if unread:
            return unread.pop()
        await answered.wait()
        return {"type": "http.disconnect"}

    async def take(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            answered.set()

    await app(scope, receive, take)
    return status


@asynccontextmanager
async def _lifespan(app: Any, answer: Answer) -> AsyncIterator[dict[str, Any]]:
    """Start the app before, and shut it down after a ``with`` block, if it knows of that.

    Raises:
        LifespanError: It could not start.
    """
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    living = asyncio.ensure_future(_live(app, scope, inbox.get, outbox.put))
    try:
        await inbox.put({"type": "lifespan.startup"})
        supported = await _heard(living, outbox, "lifespan.startup")
        yield state
        if supported and not living.done():
            await inbox.put({"type": "lifespan.shutdown"})
            await asyncio.wait([living], timeout=PATIENCE)
        if supported and living.done():
            answer.shutdown_error = _error_of(living)
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


async def _live(app: Any, *arguments: Any) -> SystemExit | None:
    """Run the app's lifespan; return a SystemExit, which would take the event loop with it."""
    try:
        await app(*arguments)
    except SystemExit as error:
        return error
    return None


def _error_of(living: asyncio.Future[SystemExit | None]) -> BaseException | None:
    return None if living.cancelled() else living.exception() or living.result()


async def _heard(living: asyncio.Future[Any], outbox: asyncio.Queue[Any], step: str) -> bool:
    """Wait until the app has started; false when it does not know of lifespans."""
    hearing = asyncio.ensure_future(outbox.get())
    await asyncio.wait([living, hearing], return_when=asyncio.FIRST_COMPLETED)
    if not hearing.done():
        hearing.cancel()
        ended = _error_of(living)
        if isinstance(ended, SystemExit):
            raise LifespanError(blame(ended).strip())
        return False
    message = hearing.result()
    if message["type"] == f"{step}.failed":
        raise LifespanError(message.get("message") or "it did not say why")
    return True
