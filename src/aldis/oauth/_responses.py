"""The responses that the views of a login send, and the pages to which they may redirect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup
from werkzeug.urls import iri_to_uri

from aldis.oauth._web import Web

__all__ = [
    "MAX_LENGTH",
    "current_path",
    "failure_page",
    "first_response",
    "no_store",
    "safe_next",
]

#: ``safe_next`` rejects longer targets, because each pending login keeps its target in the session.
MAX_LENGTH: Final = 512

_PAGE: Final = Markup(
    '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Login failed</title>\n'
    "<h1>Login failed</h1>\n<p>The login with {name} did not succeed. {hint}</p>\n"
    '<p><a href="{again}">Try again</a> or <a href="{home}">go on without it</a>.</p>\n</html>\n'
)


def failure_page(web: Web, name: str, hint: str, *, again: str, home: str) -> Any:
    """Return a page for a failed login. It is sent where a redirect could loop.

    Args:
        web: The framework.
        name: The name of the blueprint.
        hint: The reason.
        again: The URL of a new login.
        home: The URL of a page that needs no login.
    """
    text = _PAGE.format(name=name, hint=hint, again=again, home=home)
    return no_store(web.response_class(str(text), status=400, mimetype="text/html"))


def first_response(web: Web, values: Iterable[Any]) -> Any:
    """Return the first Response among the receivers' ``values``.

    The response is for one user. Unless it has a ``Cache-Control`` header, no cache may store it.
    """
    found = next((value for value in values if web.is_response(value)), None)
    if found is not None and "Cache-Control" not in found.headers:
        return no_store(found)
    return found


def no_store(response: Any) -> Any:
    """Forbid caches to store ``response``, which is for one user."""
    response.headers["Cache-Control"] = "no-store"
    return response


def current_path(web: Web) -> str:
    """Return the path and the query of the request, as a browser sends them."""
    parts = urlsplit(iri_to_uri(web.request.url))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def safe_next(target: str | None) -> str | None:
    """Return ``target`` if it is a path of this site, else ``None``.

    Browsers read a backslash as a slash, drop tabs and line breaks, and take the text after two
    slashes for a host. Such targets are rejected, not repaired.

    Args:
        target: The page that the query string asks for.
    """
    if not target or len(target) > MAX_LENGTH or not target.startswith("/"):
        return None
    # `isprintable` rejects control characters, line and paragraph separators and lone surrogates.
    if "\\" in target or not target.isprintable():
        return None
    path = target.partition("?")[0].partition("#")[0]
    # A proxy that removes "/." or "/.." can turn later double slashes into a host.
    return None if "//" in path else target
