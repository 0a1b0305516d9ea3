"""The dashboard as an ASGI app."""

from __future__ import annotations

import asyncio
from inspect import isawaitable
from typing import Any

from aldis.web.access import Application, granted
from aldis.web.messages import MOST_BYTES, Request, Response, text_response

__all__ = ["AsgiApp", "respond_async"]


class AsgiApp:
    """The dashboard as an ASGI app.

    Servers recognise an ASGI 3 app by its async ``__call__``, and would not recognise a method.

    Args:
        dashboard: The dashboard.
    """

    def __init__(self, dashboard: Application) -> None:
        self._dashboard = dashboard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer an ASGI request."""
        await _respond(self._dashboard, scope, receive, send)


async def _respond(dashboard: Application, scope: Any, receive: Any, send: Any) -> None:
    """Answer an ASGI request. The queries run in a thread."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    body = await _read(receive)
    if body is None:
        response = text_response(413, "The request is too large.\n")
    else:
        response = await respond_async(dashboard, _request_of(scope, body))
    headers = [*response.headers, ("Content-Length", str(len(response.body)))]
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (name.lower().encode(), value.encode("latin-1")) for name, value in headers
            ],
        }
    )
    content = b"" if scope["method"] == "HEAD" else response.body
    await send({"type": "http.response.body", "body": content})


async def respond_async(dashboard: Application, request: Request) -> Response:
    """Answer a request: call ``access`` here and everything else in a thread."""
    found: Any = dashboard.access(request)
    if isawaitable(found):
        found = await found
    return await asyncio.to_thread(dashboard.respond_to, request, granted(found, request))


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read(receive: Any) -> bytes | None:
    """Return the body, or ``None`` if it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _request_of(scope: Any, body: bytes) -> Request:
    root = scope.get("root_path", "").rstrip("/")
    path = scope["path"]
    # In some servers and frameworks the path includes the root, in others it does not.
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    client = scope.get("client")
    return Request(
        method=scope["method"],
        root=root,
        path=path or "/",
        query=scope.get("query_string", b"").decode("latin-1"),
        headers={
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        },
        body=body,
        client=client[0] if client else None,
        scheme=scope.get("scheme", "http"),
        debug=bool(getattr(scope.get("app"), "debug", False)),
        native=scope,
    )
