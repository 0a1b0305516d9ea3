"""The dashboard as a WSGI app."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aldis.web.access import Application
from aldis.web.messages import MOST_BYTES, Request, Response, text_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["respond"]


def respond(
    dashboard: Application, environ: WSGIEnvironment, start_response: StartResponse
) -> list[bytes]:
    """Answer a WSGI request."""
    request = request_of(environ)
    response = (
        text_response(413, "The request is too large.\n")
        if request is None
        else dashboard.respond(request)
    )
    headers = [*response.headers, ("Content-Length", str(len(response.body)))]
    start_response(status_line(response), headers)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [response.body]


def status_line(response: Response) -> str:
    """Return the status with its reason."""
    return f"{response.status} {HTTPStatus(response.status).phrase}"


def request_of(environ: WSGIEnvironment) -> Request | None:
    """Return the request, or ``None`` if its body is too large."""
    body = b""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > MOST_BYTES:
        return None
    if length > 0:
        body = environ["wsgi.input"].read(length)
    return Request(
        method=environ.get("REQUEST_METHOD", "GET"),
        root=_decoded(environ.get("SCRIPT_NAME", "")).rstrip("/"),
        path=_decoded(environ.get("PATH_INFO", "")) or "/",
        query=environ.get("QUERY_STRING", ""),
        headers={
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        },
        body=body,
        client=environ.get("REMOTE_ADDR"),
        scheme=environ.get("wsgi.url_scheme", "http"),
        debug=bool(environ.get("werkzeug.debug")),
        native=environ,
    )


def _decoded(path: str) -> str:
    return path.encode("latin-1", "replace").decode("utf-8", "replace")
