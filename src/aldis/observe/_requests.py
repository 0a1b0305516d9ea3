"""Traces each request of a WSGI or ASGI app, and prints the trees of the requests."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, MutableMapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias

from aldis.observe._trace import Trace, trace
from aldis.observe._tree import EmissionNode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["AsgiTracer", "RequestReport", "TraceOption", "TracedRequest", "WsgiTracer"]

_log = logging.getLogger("aldis")

_FAILED: Final = 400


@dataclass(frozen=True)
class TracedRequest:
    """A request that was answered, and the signals that were sent in it.

    ``str`` returns its first line: ``GET /pay -> 200 OK, 3.9 ms``.

    Attributes:
        method: The method; ``WEBSOCKET`` for a websocket.
        path: The path, without the query.
        status: The HTTP status. ``None`` means that no answer was sent.
        error: The exception that the app raised instead of answering, as text, or ``None``.
        seconds: The duration, including the body of the response.
        trace: The signals.
        quiet: The names of the signals that are printed only if they have receivers.
    """

    method: str
    path: str
    status: int | None
    error: str | None
    seconds: float
    trace: Trace
    quiet: Collection[str] = ()

    @property
    def failed(self) -> bool:
        """Whether the request ended with an error or with a status from 400 on."""
        return self.error is not None or (self.status or 0) >= _FAILED

    @property
    def roots(self) -> list[EmissionNode]:
        """The sends that are printed."""
        return [
            root
            for root in self.trace.roots
            if root.calls or root.error or root.muted or root.signal not in self.quiet
        ]

    def print(self, file: TextIO | None = None) -> None:
        """Print the tree, in one write: in colour on a terminal, unless ``NO_COLOR`` is set.

        Args:
            file: The file. The default is ``sys.stderr``.
        """
        file = file or sys.stderr
        if file is not None:
            self.trace.write(self.roots, str(self), file)

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self._outcome()}, {self.seconds * 1000:.3g} ms"

    def _outcome(self) -> str:
        if self.error is not None:
            return f"raised {self.error}"
        if self.status is None:
            return "closed" if self.method == WEBSOCKET else "no answer"
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)


WEBSOCKET: Final = "WEBSOCKET"

#: The values of the option ``trace`` of the extensions.
TraceOption: TypeAlias = bool | str | Iterable[str] | Callable[[TracedRequest], object]


class RequestReport:
    """Decides which requests are traced, and prints them or passes them on.

    Args:
        option: ``True`` prints each request. A path, or several, prints only the requests to them
            and to the paths below them; ``*`` and ``?`` stand for any characters. A callable gets
            each request instead of the terminal.
        quiet: The names of the signals that are printed only if they have receivers.
        is_static: Tells whether a request by its method and path is for a static file. Such a
            request is not traced.

    Raises:
        TypeError: The option has another type.
        ValueError: A path does not begin with a slash or a ``*``.
    """

    def __init__(
        self,
        option: TraceOption,
        quiet: Collection[str] = (),
        is_static: Callable[[str, str], bool] = lambda _method, _path: False,
    ) -> None:
        self._paths: tuple[str, ...] = _paths(option)
        self._receive: Callable[[TracedRequest], object] = (
            option if callable(option) else TracedRequest.print
        )
        self._quiet = quiet
        self._is_static = is_static

    def wants(self, method: str, path: str) -> bool:
        """Tell whether to trace a request."""
        chosen = not self._paths or any(_matches(path, each) for each in self._paths)
        return chosen and not self._is_static(method, path)

    def finish(
        self,
        method: str,
        path: str,
        status: int | None,
        error: BaseException | None,
        seconds: float,
        seen: Trace,
    ) -> None:
        """Report a request, except one that succeeded and called no receiver.

        An error of this method is logged: it must not reach the client.
        """
        text = None if error is None else f"{type(error).__name__}: {error}"
        request = TracedRequest(method, path, status, text, seconds, seen, self._quiet)
        if not request.roots and not request.failed:
            return
        try:
            self._receive(request)
        except Exception:  # noqa: BLE001 - the request has been answered
            with suppress(Exception):  # the log may go to the same broken terminal
                _log.exception("the trace of %s %s cannot be shown", method, path)


def _paths(option: object) -> tuple[str, ...]:
    if option is True or callable(option):
        return ()
    paths: tuple[object, ...] = (option,) if isinstance(option, str) else ()
    if isinstance(option, Collection) and not isinstance(option, (str, bytes)):
        paths = tuple(option)
    if not paths:
        message = (
            "trace= must be True, a path such as '/pay', a list of paths, or a callable that gets "
            f"each TracedRequest, not {option!r}"
        )
        raise TypeError(message)
    for path in paths:
        if not isinstance(path, str) or not path.startswith(("/", "*")):
            message = f"a path of trace= begins with a slash, such as '/pay', not {path!r}"
            raise ValueError(message)
    return tuple(map(str, paths))


def _matches(path: str, pattern: str) -> bool:
    if any(sign in pattern for sign in "*?["):
        return fnmatchcase(path, pattern)
    return path == pattern or path.startswith(pattern.rstrip("/") + "/")


# -- WSGI ------------------------------------------------------------------------------------------


class WsgiTracer:
    """A WSGI middleware that traces each request.

    A trace records the signals of one request only, although the server answers several
    requests at once.

    Args:
        app: The app.
        report: Gets the requests.
    """

    def __init__(self, app: WSGIApplication, report: RequestReport) -> None:
        self._app = app
        self._report = report

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        method, path = environ.get("REQUEST_METHOD", "GET"), _path_of(environ)
        if not self._report.wants(method, path):
            return self._app(environ, start_response)
        running = _WsgiRequest(self._report, method, path)

        def note_status(status: str, headers: Any, *rest: Any) -> Any:
            running.status = int(status.partition(" ")[0])
            running.has_length = any(name.lower() == "content-length" for name, _ in headers)
            return start_response(status, headers, *rest)

        try:
            body = self._app(environ, note_status)
        except BaseException as error:
            running.finish(error)
            raise
        if isinstance(body, environ.get("wsgi.file_wrapper", ())):
            running.finish()  # the server may send the file without an iteration
            return body  # type: ignore[no-any-return]
        return _TracedBody(body, running)


def _path_of(environ: WSGIEnvironment) -> str:
    path: str = environ.get("PATH_INFO", "") or "/"
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


class _WsgiRequest:
    """A request that is being answered."""

    def __init__(self, report: RequestReport, method: str, path: str) -> None:
        self.status: int | None = None
        self.has_length = False
        self._report = report
        self._request = method, path
        self._started = perf_counter()
        self._until_end = ExitStack()
        self._seen = self._until_end.enter_context(trace(everywhere=False))
        self._finished = False

    def finish(self, error: BaseException | None = None) -> None:
        """End the trace and report it. A second call does nothing."""
        if self._finished:
            return
        self._finished = True
        self._until_end.close()
        seconds = perf_counter() - self._started
        self._report.finish(*self._request, self.status, error, seconds, self._seen)


class _TracedBody:
    """The body of a response. Its end is the end of the request.

    If the length of the body is known, the request is reported before its last part is sent, so the
    client has not received the whole answer yet. A body without a length may be a stream of events,
    so each part is sent at once.
    """

    def __init__(self, body: Iterable[bytes], running: _WsgiRequest) -> None:
        self._body = body
        self._parts = iter(body)
        self._running = running
        self._ahead: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part = self._ahead.pop() if self._ahead else self._read()
        if self._running.has_length:
            with suppress(StopIteration):
                self._ahead.append(self._read())
        return part

    def _read(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            self._running.finish()
            raise
        except BaseException as error:
            self._running.finish(error)
            raise

    def close(self) -> None:
        """Close the body, as the server does at the end."""
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._running.finish()

    def __del__(self) -> None:
        running = vars(self).get("_running")  # an interrupted __init__ leaves it out
        if running is not None and not sys.is_finalizing():
            running.finish()


# -- ASGI ------------------------------------------------------------------------------------------

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]


class AsgiTracer:
    """An ASGI middleware that traces each request and each websocket.

    Args:
        app: The app.
        report: Gets the requests.
    """

    def __init__(
        self, app: Callable[[Any, Any, Any], Awaitable[None]], report: RequestReport
    ) -> None:
        self._app = app
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method = WEBSOCKET if scope["type"] == "websocket" else scope.get("method", "GET")
        path = scope.get("path", "/")
        if scope["type"] not in ("http", "websocket") or not self._report.wants(method, path):
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def note_status(message: Any) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            await send(message)

        started = perf_counter()
        raised: BaseException | None = None
        with trace(everywhere=False) as seen:
            try:
                await self._app(scope, receive, note_status)
            except BaseException as error:
                raised = error
                raise
            finally:
                seconds = perf_counter() - started
                self._report.finish(method, path, status, raised, seconds, seen)
                del raised  # the frames of the error refer to this frame, which would be a cycle
