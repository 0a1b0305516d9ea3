"""Logins with OAuth 2, OpenID Connect and OAuth 1.0a that speak in signals.

:mod:`aldis.oauth.sqla` keeps tokens in a database, and :mod:`aldis.oauth.linking` links logins to
users.
"""

from __future__ import annotations

from aldis.errors import MissingExtraError

try:
    from aldis.oauth.blueprint import OAuthBlueprint
    from aldis.oauth.failures import ErrorText
    from aldis.oauth.next_url import safe_next
    from aldis.oauth.session import OAuthSession
    from aldis.oauth.storages import MemoryStorage, SessionStorage, TokenStorage
except ModuleNotFoundError as missing:
    if missing.name is None or missing.name.partition(".")[0] not in (
        "authlib",
        "flask",
        "requests",
    ):
        raise
    _message = (
        f"aldis.oauth needs {missing.name}, which is not installed: pip install 'aldis[oauth]'"
    )
    raise MissingExtraError(_message, name=missing.name) from missing

from aldis.oauth.signals import oauth_authorized, oauth_before_login, oauth_error, oauth_signals

__all__ = [
    "ErrorText",
    "MemoryStorage",
    "OAuthBlueprint",
    "OAuthSession",
    "SessionStorage",
    "TokenStorage",
    "oauth_authorized",
    "oauth_before_login",
    "oauth_error",
    "oauth_signals",
    "safe_next",
]
