"""Flask-Login's signals on aldis, with types.

If you import this module before Flask-Login, it installs aldis as blinker. ``import
aldis.as_blinker`` as the first line of a program does that too, in any order of the other imports.
"""

from __future__ import annotations

from typing import Any

from aldis._optional import needs
from aldis.blinker import install_as_blinker
from aldis.core.namespace import declare

install_as_blinker()

with needs("aldis.flask_login", "oauth", flask="Flask", flask_login="Flask-Login"):
    import flask_login as theirs  # type: ignore[import-untyped]
    from flask import Flask

__all__ = [
    "session_protected",
    "user_accessed",
    "user_loaded_from_cookie",
    "user_loaded_from_request",
    "user_logged_in",
    "user_logged_out",
    "user_login_confirmed",
    "user_needs_refresh",
    "user_unauthorized",
]

# The contracts are advisory, because Flask-Login guarantees nothing about the arguments.


@declare(theirs.user_logged_in)
def user_logged_in(sender: Flask, /, *, user: Any) -> Any:
    """Sent by the app after a user logged in."""


@declare(theirs.user_logged_out)
def user_logged_out(sender: Flask, /, *, user: Any) -> Any:
    """Sent by the app after a user logged out."""


@declare(theirs.user_loaded_from_cookie)
def user_loaded_from_cookie(sender: Flask, /, *, user: Any) -> Any:
    """Sent by the app after it loaded a user from the "remember me" cookie."""


@declare(theirs.user_loaded_from_request)
def user_loaded_from_request(sender: Flask, /, *, user: Any) -> Any:
    """Sent by the app after it loaded a user from the request."""


@declare(theirs.user_login_confirmed)
def user_login_confirmed(sender: Flask, /) -> Any:
    """Sent by the app after a user confirmed their login."""


@declare(theirs.user_unauthorized)
def user_unauthorized(sender: Flask, /) -> Any:
    """Sent by the app before it answers a request that needs a login."""


@declare(theirs.user_needs_refresh)
def user_needs_refresh(sender: Flask, /) -> Any:
    """Sent by the app before it answers a request that needs a fresh login."""


@declare(theirs.user_accessed)
def user_accessed(sender: Flask, /) -> Any:
    """Sent by the app when it has found the user of a request."""


@declare(theirs.session_protected)
def session_protected(sender: Flask, /) -> Any:
    """Sent by the app if the session was probably stolen, and the user is not trusted."""
