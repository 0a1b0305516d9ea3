"""The signals of a request, around any ASGI application.

::

    app.add_middleware(SignalsMiddleware)     # Starlette, FastAPI
    app = SignalsMiddleware(app)              # any other

Flask's names and meaning; for a websocket, Quart's. They are sent with ``asend``, so that sync and
async receivers mix. The sender is ``scope["app"]``, which Starlette and FastAPI set, else the
application that is wrapped.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self, TypeAlias

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
    """Return the ASGI scope of the request or websocket that this code runs in.

    Raises:
        LookupError: There is none.
    """
    scope = _scope.get()
    if scope is None:
        message = "no request is being answered here, as far as SignalsMiddleware knows"
        raise LookupError(message)
    return scope


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """What is known of a response right before its first byte is sent.

    Attributes:
        status: The status code.
        headers: Names in lower case and values, in the order of sending.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, message: Message) -> Self:
        """Read the message that starts a response."""
        headers: Iterable[Iterable[bytes]] = message.get("headers", ())
        pairs = ((bytes(name).lower(), bytes(value)) for name, value in headers)
        return cls(message["status"], tuple(pairs))

    def header(self, name: str) -> str | None:
        """Return the value of the first header called ``name``, in any case; else ``None``."""
        wanted = name.lower().encode("latin-1")
        for each, value in self.headers:
            if each == wanted:
                return value.decode("latin-1")
        return None


#: The namespace of the signals of this module.
signals: Final = Namespace()


@signals.define(name="request-started")
def request_started(sender: Any, /) -> None:
    """Sent before the application gets the request."""


@signals.define(name="request-finished")
def request_finished(sender: Any, /, *, response: ResponseInfo) -> None:
    """Sent right before the response is sent to the client: before the first byte of a stream."""


@signals.define(name="got-request-exception")
def got_request_exception(sender: Any, /, *, exception: Exception) -> None:
    """Sent when the application raises; a client that went away is no exception."""


@signals.define(name="request-tearing-down")
def request_tearing_down(sender: Any, /, *, exc: BaseException | None) -> None:
    """Sent at the end of each request, whatever ended it; ``exc`` is what was raised."""


@signals.define(name="websocket-started")
def websocket_started(sender: Any, /) -> None:
    """Sent before the application gets the websocket."""


@signals.define(name="websocket-received")
def websocket_received(sender: str | bytes, /) -> None:
    """Sent by each message that came, before the application gets it."""


@signals.define(name="websocket-sent")
def websocket_sent(sender: str | bytes, /) -> None:
    """Sent by each message, once it is on its way to the client."""


@signals.define(name="websocket-finished")
def websocket_finished(sender: Any, /, *, response: ResponseInfo | None) -> None:
    """Sent when the application is done; ``response`` is what it answered instead of accepting."""


@signals.define(name="got-websocket-exception")
def got_websocket_exception(sender: Any, /, *, exception: Exception) -> None:
    """Sent when the application raises; a client that went away is no exception."""


@signals.define(name="websocket-tearing-down")
def websocket_tearing_down(sender: Any, /, *, exc: BaseException | None) -> None:
    """Sent at the end of each websocket, whatever ended it; ``exc`` is what was raised."""


# "Always called": a receiver that raises must not keep the others from tearing down.
for _signal in (request_tearing_down, websocket_tearing_down):
    _signal.continue_on_error = True


class _Kind(NamedTuple):
    """The signals of the beginning and the end of one kind of connection."""

    started: NamedSignal[..., None]
    got_exception: NamedSignal[..., None]
    tearing_down: NamedSignal[..., None]


_KINDS: Final = {
    "http": _Kind(request_started, got_request_exception, request_tearing_down),
    "websocket": _Kind(websocket_started, got_websocket_exception, websocket_tearing_down),
}


class SignalsMiddleware:
    """Sends the signals of this module around an ASGI application.

    What receivers of the first three signals raise, the server gets as if the application had
    raised it. Of the receivers of the tearing down every one runs, also when the request is
    cancelled.

    Args:
        app: The application. Other kinds of scope than ``http`` and ``websocket``, such as
            ``lifespan``, pass through untouched.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or websocket, as a server asks for it."""
        kind = _KINDS.get(scope["type"])
        if kind is None:
            await self.app(scope, receive, send)
            return
        named = scope.get("app")
        sender = self.app if named is None else named
        outer = _scope.get()
        _scope.set(scope)
        try:
            await self._serve(kind, sender, _Exchange(sender, scope, receive, send))
        finally:
            # Not by a token: a coroutine that is thrown away may be closed in another context.
            _scope.set(outer)

    async def _serve(self, kind: _Kind, sender: Any, exchange: _Exchange) -> None:
        try:
            await self._answer(kind, sender, exchange)
        except BaseException as error:
            # The receiver of an exception may have raised another; the first caused the teardown.
            cause = error if exchange.error is None else exchange.error
            with suppress(Exception):  # it is in the log; the first one is raised
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
    """One request or websocket: what the application receives and sends passes through here."""

    def __init__(self, sender: Any, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.error: Exception | None = None
        self.denial: ResponseInfo | None = None
        self.receive = self._receive if scope["type"] == "websocket" else receive
        self._sender = sender
        self._from_client = receive
        self._to_client = send
        self._refusals: list[OSError] = []

    async def _receive(self) -> Message:
        message = await self._from_client()
        if message["type"] == "websocket.receive":
            await websocket_received.asend(_content(message))
        return message

    async def send(self, message: Message) -> None:
        """Send ``message`` on, and the signal that belongs to it."""
        kind = message["type"]
        if kind == "http.response.start":
            await request_finished.asend(self._sender, response=ResponseInfo.of(message))
        elif kind == "websocket.http.response.start":
            self.denial = ResponseInfo.of(message)
        try:
            await self._to_client(message)
        except OSError as refusal:
            self._refusals.append(refusal)
            raise
        if kind == "websocket.send":
            await websocket_sent.asend(_content(message))

    def is_departure(self, error: BaseException | None) -> bool:
        """Tell whether ``error`` says that the client is gone: a server's ``send`` raises OSError.

        A framework may have raised one of its own because of it.
        """
        for _ in range(100):
            if error is None:
                break
            if any(error is each for each in self._refusals):
                return True
            error = error.__cause__ or error.__context__
        return False


def _content(message: Message) -> str | bytes:
    """Return what is in a websocket's message."""
    text: str | None = message.get("text")
    if text is not None:
        return text
    content: bytes = message["bytes"]
    return content


async def _tear_down(kind: _Kind, sender: Any, cause: BaseException | None) -> None:
    # Nothing can be awaited in a coroutine that is being closed: there may be no loop any more. And
    # where nobody listens there is nothing to keep a cancellation from.
    bare = isinstance(cause, GeneratorExit) or not kind.tearing_down.receivers
    with nullcontext() if bare else _shield():
        await kind.tearing_down.asend(sender, exc=cause)


def _shield() -> AbstractContextManager[object]:
    """Keep anyio's cancellation away.

    asyncio cancels a task once, which interrupts one receiver at most. anyio, and Starlette's
    middleware with it, cancels whatever is awaited inside a cancelled scope, again and again.
    """
    anyio = sys.modules.get("anyio")  # nobody has such a scope who has not imported it
    return nullcontext() if anyio is None else anyio.CancelScope(shield=True)
