"""Logins with OAuth 2, OpenID Connect and OAuth 1.0a. Three signals report what happens.

:mod:`aldis.oauth.providers` has the settings of known providers, :mod:`aldis.oauth.sqla` stores
tokens in a database, and :mod:`aldis.oauth.linking` links logins to users.
"""

from __future__ import annotations

from aldis._optional import needs

with needs("aldis.oauth", "oauth", authlib="Authlib", flask="Flask", requests="requests"):
    from aldis.oauth._blueprint import BaseOAuthBlueprint
    from aldis.oauth._client import OAuthSession
    from aldis.oauth._failures import ErrorText
    from aldis.oauth._flask import OAuthBlueprint
    from aldis.oauth._login_state import on_login_failure
    from aldis.oauth._responses import safe_next
    from aldis.oauth._storage import (
        LockingTokenStorage,
        MemoryStorage,
        SessionStorage,
        TokenStorage,
    )

from aldis.oauth.signals import oauth_authorized, oauth_before_login, oauth_error, oauth_signals

__all__ = [
    "BaseOAuthBlueprint",
    "ErrorText",
    "LockingTokenStorage",
    "MemoryStorage",
    "OAuthBlueprint",
    "OAuthSession",
    "SessionStorage",
    "TokenStorage",
    "oauth_authorized",
    "oauth_before_login",
    "oauth_error",
    "oauth_signals",
    "on_login_failure",
    "safe_next",
]
