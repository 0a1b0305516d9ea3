"""Send one request to an app in this process, and record the signals that the app sends.

A Flask app gets the request from its test client, other apps by a minimal WSGI or ASGI server.
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

from aldis._optional import loaded
from aldis.cli._app import describe_error
from aldis.observe import Trace, trace

__all__ = ["LifespanError", "Request", "Result", "send_request"]

#: How many seconds an ASGI app has to shut down.
SHUTDOWN_TIMEOUT: Final = 10.0

FORM: Final = "application/x-www-form-urlencoded"


class LifespanError(Exception):
    """An ASGI app could not start."""


@dataclass(slots=True)
class Request:
    """A request.

    Attributes:
        method: The method in upper case.
        path: The path from the slash on, with the query.
        headers: The names and values of the headers.
        body: The body.
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
class Result:
    """The result of a request.

    Attributes:
        status: The HTTP status. It is 500 if the app raised, as a server would result, and ``None``
            if the app ended without a response.
        error: The exception that the app raised instead of answering.
        nanoseconds: The duration, including the body of the response.
        trace: The signals that the app sent.
        shutdown_error: The exception of an ASGI app's lifespan after its start.
    """

    status: int | None = None
    error: BaseException | None = None
    nanoseconds: int = 0
    trace: Trace = field(default_factory=Trace)
    shutdown_error: BaseException | None = None


def send_request(app: Any, request: Request) -> Result:
    """Send ``request`` to ``app``, which is a Flask, WSGI or ASGI app.

    Raises:
        LifespanError: An ASGI app could not start.
    """
    if _is_asgi(app):
        return asyncio.run(_to_asgi(app, request))
    flask: Any = loaded("flask")
    call = _to_flask if flask is not None and isinstance(app, flask.Flask) else _to_wsgi
    result = Result()
    with trace(everywhere=False) as result.trace:
        started = time.perf_counter_ns()
        try:
            result.status = call(app, request)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a server catches them, too
            result.status, result.error = 500, error
        result.nanoseconds = time.perf_counter_ns() - started
    return result


def _is_asgi(app: Any) -> bool:
    if inspect.iscoroutinefunction(app):
        return True
    call = getattr(type(app), "__call__", None)  # noqa: B004 - the method is needed
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
        buffered=True,  # read a stream to its end and close it
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


async def _to_asgi(app: Any, request: Request) -> Result:
    result = Result()
    async with _lifespan(app, result) as state:
        with trace(everywhere=False) as result.trace:
            started = time.perf_counter_ns()
            try:
                result.status = await _exchange(app, request, state)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a server catches them, too
                result.status, result.error = 500, error
            result.nanoseconds = time.perf_counter_ns() - started
    return result


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

    async def receive_response(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            answered.set()

    await app(scope, receive, receive_response)
    return status


@asynccontextmanager
async def _lifespan(app: Any, result: Result) -> AsyncIterator[dict[str, Any]]:
    """Start the app before a ``with`` block and shut it down after it, if it supports lifespans.

    Raises:
        LifespanError: The app could not start.
    """
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    lifespan = asyncio.ensure_future(_run_lifespan(app, scope, inbox.get, outbox.put))
    try:
        await inbox.put({"type": "lifespan.startup"})
        supported = await _has_started(lifespan, outbox, "lifespan.startup")
        yield state
        if supported and not lifespan.done():
            await inbox.put({"type": "lifespan.shutdown"})
            await asyncio.wait([lifespan], timeout=SHUTDOWN_TIMEOUT)
        if supported and lifespan.done():
            result.shutdown_error = _error_of(lifespan)
    finally:
        lifespan.cancel()
        await asyncio.gather(lifespan, return_exceptions=True)


async def _run_lifespan(app: Any, *arguments: Any) -> SystemExit | None:
    """Run the app's lifespan; return a SystemExit, which would end the event loop."""
    try:
        await app(*arguments)
    except SystemExit as error:
        return error
    return None


def _error_of(lifespan: asyncio.Future[SystemExit | None]) -> BaseException | None:
    return None if lifespan.cancelled() else lifespan.exception() or lifespan.result()


async def _has_started(
    lifespan: asyncio.Future[Any], outbox: asyncio.Queue[Any], step: str
) -> bool:
    """Wait until the app has started; return whether it supports lifespans."""
    receiving = asyncio.ensure_future(outbox.get())
    await asyncio.wait([lifespan, receiving], return_when=asyncio.FIRST_COMPLETED)
    if not receiving.done():
        receiving.cancel()
        ended = _error_of(lifespan)
        if isinstance(ended, SystemExit):
            raise LifespanError(describe_error(ended).strip())
        return False
    message = receiving.result()
    if message["type"] == f"{step}.failed":
        raise LifespanError(message.get("message") or "it gave no reason")
    return True
