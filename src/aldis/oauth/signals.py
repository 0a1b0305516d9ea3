"""The three signals of a login. The sender is always the blueprint."""

from __future__ import annotations

from typing import Any, Final

from flask.sansio.blueprints import Blueprint
from werkzeug.sansio.response import Response

from aldis.core.namespace import NamedSignal, Namespace

__all__ = ["oauth_authorized", "oauth_before_login", "oauth_error", "oauth_signals"]

#: The namespace of the three signals.
oauth_signals: Final = Namespace()


@oauth_signals.define(name="oauth-before-login")
def oauth_before_login(sender: Blueprint, /, *, url: str) -> object:
    """Sent before the user is redirected to ``url``, a page of the provider.

    The blueprint saves the state of the login afterwards, so a receiver may rebuild the session.
    """


# Mutable: if a receiver's call refreshes the token, the dict that it received gets the new token.
@oauth_signals.define(name="oauth-authorized", mutable=True)
def oauth_authorized(sender: Blueprint, /, *, token: dict[str, Any]) -> Response | bool | None:
    """Sent after the provider issued ``token``, before the blueprint stores it.

    If a receiver returns a Response, the user gets the first one, and the token is not stored. If a
    receiver returns ``False``, the token is not stored. If a receiver raises LoginError, the login
    fails.
    """


#: This signal has three payloads, and therefore no contract.
oauth_error: Final[NamedSignal[..., Any]] = oauth_signals.signal(
    "oauth-error",
    doc="""Sent after a login failed.

    The payload is ``error, error_description, error_uri`` for OAuth 2 and ``message, response`` for
    OAuth 1. If the storage rejected the token, it is ``error`` alone, an exception. If a receiver
    returns a Response, the user gets the first one.
    """,
)
