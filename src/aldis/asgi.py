"""Sends the signals of requests and websockets around any ASGI app.

::

    app.add_middleware(SignalsMiddleware)     # Starlette, FastAPI
    app = SignalsMiddleware(app)              # any other app

The signals of a request have Flask's names and meaning, those of a websocket Quart's. The
middleware sends them with ``asend``, so receivers can be sync and async. The sender is
``scope["app"]``, which Starlette and FastAPI set. Without it, the sender is the wrapped app.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, TypeAlias

from aldis._compat import set_variable
from aldis._optional import loaded
from aldis.core.namespace import NamedSignal, Namespace

__all__ = [
    "ResponseInfo",
    "SignalsMiddleware",
    "current_scope",
    "got_request_exception",
    "got_websocket_exception",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "signals",
    "websocket_finished",
    "websocket_received",
    "websocket_sent",
    "websocket_started",
    "websocket_tearing_down",
]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
#: An ASGI application.
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_scope: ContextVar[Scope | None] = ContextVar("aldis_asgi_scope", default=None)


def current_scope() -> Scope:
    """Return the ASGI scope of the current request or websocket.

    Raises:
        LookupError: No request or websocket is being handled.
    """
    scope = _scope.get()
    if scope is None:
        message = "no request is being handled here: put SignalsMiddleware around the app"
        raise LookupError(message)
    return scope


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """The status and the headers of a response.

    Attributes:
        status: The status code.
        headers: The names in lower case, and the values, in order.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, message: Message) -> Self:
        """Create it from the ASGI message that starts a response."""
        headers: Iterable[Iterable[bytes]] = message.get("headers", ())
        pairs = ((bytes(name).lower(), bytes(value)) for name, value in headers)
        return cls(message["status"], tuple(pairs))

    def header(self, name: str) -> str | None:
        """Return the value of the first header ``name``, in upper or lower case, or ``None``."""
        wanted = name.lower().encode("latin-1")
        for each, value in self.headers:
            if each == wanted:
                return value.decode("latin-1")
        return None


#: The namespace of the signals of this module.
signals: Final = Namespace()


@signals.define(name="request-started")
def request_started(sender: Any, /) -> None:
    """Sent before the app gets the request."""


@signals.define(name="request-finished")
def request_finished(sender: Any, /, *, response: ResponseInfo) -> None:
    """Sent before the first byte of the response is sent to the client."""


@signals.define(name="got-request-exception")
def got_request_exception(sender: Any, /, *, exception: Exception) -> None:
    """Sent if the app raises an error. A client that closes the connection is not an error."""


@signals.define(name="request-tearing-down")
def request_tearing_down(sender: Any, /, *, exc: BaseException | None) -> None:
    """Sent at the end of each request. ``exc`` is the exception that ended it, if any."""


@signals.define(name="websocket-started")
def websocket_started(sender: Any, /) -> None:
    """Sent before the app gets the websocket."""


@signals.define(name="websocket-received")
def websocket_received(sender: str | bytes, /) -> None:
    """Sent for each message from the client, before the app gets it. The message is the sender."""


@signals.define(name="websocket-sent")
def websocket_sent(sender: str | bytes, /) -> None:
    """Sent for each message to the client, after it was sent. The message is the sender."""


@signals.define(name="websocket-finished")
def websocket_finished(sender: Any, /, *, response: ResponseInfo | None) -> None:
    """Sent after the app has returned. ``response`` is set if the app rejected the websocket."""


@signals.define(name="got-websocket-exception")
def got_websocket_exception(sender: Any, /, *, exception: Exception) -> None:
    """Sent if the app raises an error. A client that closes the connection is not an error."""


@signals.define(name="websocket-tearing-down")
def websocket_tearing_down(sender: Any, /, *, exc: BaseException | None) -> None:
    """Sent at the end of each websocket. ``exc`` is the exception that ended it, if any."""


# All receivers of these signals must run, so a receiver that raises must not stop the others.
for _signal in (request_tearing_down, websocket_tearing_down):
    _signal.continue_on_error = True


class _Kind(NamedTuple):
    """The signals at the beginning and the end of one kind of connection."""

    started: NamedSignal[..., None]
    got_exception: NamedSignal[..., None]
    tearing_down: NamedSignal[..., None]


_KINDS: Final = {
    "http": _Kind(request_started, got_request_exception, request_tearing_down),
    "websocket": _Kind(websocket_started, got_websocket_exception, websocket_tearing_down),
}


class SignalsMiddleware:
    """Sends the signals of this module around an ASGI app.

    An error of a receiver reaches the server as if the app had raised it. All receivers of the
    signals ``…-tearing-down`` run, even if the request is cancelled or one of them raises.

    Args:
        app: The app. The middleware passes on other scopes than ``http`` and ``websocket``, such as
            ``lifespan``, without any signal.
    """

    def __init__(self, app: Application) -> None:
        self.app: Application = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or websocket."""
        kind = _KINDS.get(scope["type"])
        if kind is None:
            await self.app(scope, receive, send)
            return
        named = scope.get("app")
        sender = self.app if named is None else named
        outer = _scope.get()
        try:
            set_variable(_scope, scope)
            await self._serve(kind, sender, _Exchange(sender, scope, receive, send))
        finally:
            # Without a token, because an abandoned coroutine may be closed in another context.
            set_variable(_scope, outer)

    async def _serve(self, kind: _Kind, sender: Any, exchange: _Exchange) -> None:
        try:
            await self._answer(kind, sender, exchange)
        except BaseException as error:
            # A receiver of the exception may have raised another one. The first one is reported.
            cause = error if exchange.error is None else exchange.error
            with suppress(Exception):  # it is logged, and the first error is raised
                await _tear_down(kind, sender, cause)
            raise
        await _tear_down(kind, sender, None)

    async def _answer(self, kind: _Kind, sender: Any, exchange: _Exchange) -> None:
        try:
            await kind.started.asend(sender)
            await self.app(exchange.scope, exchange.receive, exchange.send)
            if kind.started is websocket_started:
                await websocket_finished.asend(sender, response=exchange.denial)
        except Exception as error:
            exchange.error = error
            if not exchange.is_departure(error):
                await kind.got_exception.asend(sender, exception=error)
            raise


class _Exchange:
    """One request or websocket. It sends signals for the messages of the app and the client."""

    def __init__(self, sender: Any, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.error: Exception | None = None
        self.denial: ResponseInfo | None = None
        self.receive = self._receive if scope["type"] == "websocket" else receive
        self._sender = sender
        self._from_client = receive
        self._to_client = send
        self._send_errors: list[OSError] = []

    async def _receive(self) -> Message:
        message = await self._from_client()
        if message["type"] == "websocket.receive":
            await websocket_received.asend(_content(message))
        return message

    async def send(self, message: Message) -> None:
        """Pass on ``message`` and send its signal."""
        kind = message["type"]
        if kind == "http.response.start":
            await request_finished.asend(self._sender, response=ResponseInfo.of(message))
        elif kind == "websocket.http.response.start":
            self.denial = ResponseInfo.of(message)
        try:
            await self._to_client(message)
        except OSError as error:
            self._send_errors.append(error)
            raise
        if kind == "websocket.send":
            await websocket_sent.asend(_content(message))

    def is_departure(self, error: BaseException | None) -> bool:
        """Return whether ``error`` means that the client closed the connection.

        A server's ``send`` then raises OSError, and a framework may raise its own error because of
        it.
        """
        for _ in range(100):
            if error is None:
                break
            if any(error is each for each in self._send_errors):
                return True
            error = error.__cause__ or error.__context__
        return False


def _content(message: Message) -> str | bytes:
    """Return the content of a websocket's message."""
    text: str | None = message.get("text")
    if text is not None:
        return text
    content: bytes = message["bytes"]
    return content


async def _tear_down(kind: _Kind, sender: Any, cause: BaseException | None) -> None:
    # A coroutine that is being closed cannot await a shield, because there may be no event loop any
    # more. Without receivers, no shield is needed.
    bare = isinstance(cause, GeneratorExit) or not kind.tearing_down.receivers
    with nullcontext() if bare else _shield():
        await kind.tearing_down.asend(sender, exc=cause)


def _shield() -> AbstractContextManager[object]:
    """Return a context that blocks anyio's cancellation.

    asyncio cancels a task once, so it interrupts one receiver at most. anyio, which Starlette's
    middleware uses, cancels each await inside a cancelled scope.
    """
    anyio = loaded("anyio")  # without it, there is no such scope
    return nullcontext() if anyio is None else anyio.CancelScope(shield=True)
