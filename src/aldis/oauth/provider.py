"""What the blueprint asks of a protocol, and which protocol a provider speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import requests

from aldis.oauth.failures import Failure
from aldis.oauth.oauth1 import OAuth1Provider
from aldis.oauth.oauth2 import OAuth2Provider
from aldis.oauth.pending import PendingLogin
from aldis.oauth.settings import Settings, Started

__all__ = ["Provider", "connect_to"]


class Provider(Protocol):
    """One protocol, spoken with one provider. It is shared by threads and keeps nothing of a user.

    Attributes:
        settings: The provider.
    """

    settings: Settings

    def start(self, redirect_uri: str) -> Started:
        """Begin a login; return where to send the user."""
        ...

    def state_in(self, args: Mapping[str, str]) -> str | None:
        """Return which login an answer belongs to."""
        ...

    def error_in(self, args: Mapping[str, str]) -> Failure | None:
        """Return the error that an answer reports."""
        ...

    def check_origin(self, args: Mapping[str, str]) -> None:
        """Raise when an answer is from another provider."""
        ...

    def finish(
        self, args: Mapping[str, str], redirect_uri: str, login: PendingLogin
    ) -> dict[str, Any]:
        """Return the token that an answer gives access to."""
        ...

    def client(self, token: Mapping[str, Any]) -> requests.Session:
        """Return a new HTTP client that carries ``token``."""
        ...

    def authorizes(self, token: Mapping[str, Any]) -> bool:
        """Tell whether ``token`` is good for calls."""
        ...

    def expired(self, token: Mapping[str, Any], leeway: float) -> bool:
        """Tell whether ``token`` runs out within ``leeway`` seconds."""
        ...

    def refresh(self, token: Mapping[str, Any]) -> dict[str, Any]:
        """Return what takes the place of ``token``."""
        ...


def connect_to(settings: Settings) -> Provider:
    """Return what talks to the provider: OAuth 1.0a where there is a ``request_token_url``."""
    return OAuth1Provider(settings) if settings.request_token_url else OAuth2Provider(settings)
