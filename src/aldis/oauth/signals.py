"""The three signals of a login. The sender is always the blueprint instance."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint
from werkzeug.wrappers import Response

from aldis.core.namespace import Namespace

__all__ = ["oauth_authorized", "oauth_before_login", "oauth_error", "oauth_signals"]

#: The namespace of the three signals.
oauth_signals: Final = Namespace()


@oauth_signals.define(name="oauth-before-login")
def oauth_before_login(sender: Blueprint, /, *, url: str) -> object:
    """Sent before the user is redirected to the provider, to ``url``.

    The state of the login is saved afterwards, so a receiver may rebuild the session.
    """


# Mutable, because a renewal by a receiver puts the new token into the dict that it was given.
@oauth_signals.define(name="oauth-authorized", mutable=True)
def oauth_authorized(sender: Blueprint, /, *, token: dict[str, Any]) -> Response | bool | None:
    """Sent when the provider has handed out ``token``, before it is stored.

    The first Response that a receiver returns is sent at once, and the token is not stored;
    ``False`` keeps it from being stored. A receiver that raises LoginError makes the login fail.
    """


#: It has three payloads, and therefore no contract.
oauth_error = oauth_signals.signal(
    "oauth-error",
    doc="""Sent when a login has failed.

    The payload is ``error, error_description, error_uri`` for OAuth 2, ``message, response`` for
    OAuth 1, and ``error`` alone, an exception, when the storage refused the token. The first
    Response that a receiver returns is sent.
    """,
)
