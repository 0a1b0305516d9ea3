"""The three signals of a login. The sender is always the blueprint instance."""

from __future__ import annotations

from typing import Final

from aldis.core.namespace import Namespace

__all__ = ["oauth_authorized", "oauth_before_login", "oauth_error", "oauth_signals"]

#: The namespace of the three signals.
oauth_signals: Final = Namespace()

#: Sent before the user is redirected to the provider, with ``url``, where he is sent to. The state
#: of the login is saved afterwards, so a receiver may rebuild the session.
oauth_before_login = oauth_signals.signal(
    "oauth-before-login", doc="Sent before the redirect to the provider, with its `url`."
)

#: Sent when the provider has handed out a token and before it is stored, with ``token``. The first
#: Response that a receiver returns is sent at once, and the token not stored; ``False`` keeps it
#: from being stored.
oauth_authorized = oauth_signals.signal(
    "oauth-authorized", doc="Sent when a login has succeeded, before the `token` is stored."
)

#: Sent when a login has failed. The payload is ``error, error_description, error_uri`` for OAuth 2,
#: ``message, response`` for OAuth 1 and ``error`` alone, an exception, when the storage refused.
#: It has three payloads and therefore no contract. The first Response that a receiver returns is
#: sent.
oauth_error = oauth_signals.signal("oauth-error", doc="Sent when a login has failed.")
