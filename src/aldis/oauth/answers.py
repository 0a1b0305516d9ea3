"""What browsers are answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Response, current_app, request
from markupsafe import Markup
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as BaseResponse

__all__ = ["asynchronously", "first_response", "last_resort", "this_path", "unstored"]

_PAGE: Final = Markup(
    '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Login failed</title>\n'
    "<h1>Login failed</h1>\n<p>The login with {name} did not succeed. {hint}</p>\n"
    '<p><a href="{again}">Try again</a> or <a href="{home}">go on without it</a>.</p>\n</html>\n'
)


def last_resort(name: str, hint: str, *, again: str, home: str) -> BaseResponse:
    """Return the page for a failed login that must not be followed by another redirect.

    Args:
        name: The blueprint's.
        hint: Why.
        again: Where the login begins.
        home: Where the user can go without it.
    """
    text = _PAGE.format(name=name, hint=hint, again=again, home=home)
    return unstored(Response(text, status=400, mimetype="text/html"))


def asynchronously() -> dict[str, Any]:
    """Return what lets a send reach async receivers too, as Flask lets views be async."""
    # Not part of a signal's payload, so it is handed over beside the types.
    return {"_async_wrapper": current_app.ensure_sync}


def first_response(values: Iterable[Any]) -> BaseResponse | None:
    """Return the first of the receivers' ``values`` that is a Response.

    It is one user's, like every answer here: unless it says itself what caches may do, none may
    keep it.
    """
    known = (BaseResponse, current_app.response_class)
    found = next((value for value in values if isinstance(value, known)), None)
    if found is not None and "Cache-Control" not in found.headers:
        return unstored(found)
    return found


def unstored(response: BaseResponse) -> BaseResponse:
    """Keep caches from handing one user's answer to another."""
    response.headers["Cache-Control"] = "no-store"
    return response


def this_path() -> str:
    """Return the path and the query of the request, as a browser would send them."""
    parts = urlsplit(iri_to_uri(request.url))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
