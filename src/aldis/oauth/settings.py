"""What is known about a provider, and about this application as its client."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from aldis.errors import OAuthSetupError

__all__ = ["Settings", "Started", "scopes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A provider, and this application as its client.

    See :class:`aldis.oauth.OAuthBlueprint` for what each setting means.
    """

    name: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    server_metadata_url: str | None = None
    authorization_url: str | None = None
    token_url: str | None = None
    request_token_url: str | None = None
    base_url: str | None = None
    scope: Sequence[str] = ()
    issuer: str | None = None
    jwks_uri: str | None = None
    authorization_url_params: Mapping[str, Any] = field(default_factory=dict)
    token_url_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    client_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    pkce: bool = True
    timeout: float = 10.0

    def __post_init__(self) -> None:
        missing = self._missing()
        if missing:
            message = (
                f"the provider {self.name!r} has no {' and no '.join(missing)}: give them to "
                "OAuthBlueprint"
            )
            raise OAuthSetupError(message)
        # They belong to one login each; a fixed one would be shared by all users.
        fixed = {"state", "nonce", "code_challenge"} & set(self.authorization_url_params)
        if fixed:
            message = f"authorization_url_params of {self.name!r} must not fix {sorted(fixed)}"
            raise OAuthSetupError(message)

    def _missing(self) -> list[str]:
        if self.server_metadata_url:
            return []
        needed = ["authorization_url", "token_url"]
        if "openid" in self.scope:
            needed += ["issuer", "jwks_uri"]
        return [name for name in needed if not getattr(self, name)]

    @property
    def secrets(self) -> list[str]:
        """What must never be repeated: the client's secret, also as the header for it has it."""
        if not self.client_secret:
            return []
        pair = f"{self.client_id}:{self.client_secret}"
        return [self.client_secret, b64encode(pair.encode()).decode()]

    def resolve(self, url: str) -> str:
        """Return ``url``, relative to the provider's API when it is not complete."""
        return urljoin(self.base_url, url) if self.base_url else url


@dataclass(frozen=True, slots=True)
class Started:
    """A login that may be sent to the provider.

    Attributes:
        url: Where to.
        state: What the provider repeats.
        secret: The PKCE verifier, or the secret of the request token.
        nonce: What the id_token has to repeat.
    """

    url: str = field(repr=False)
    state: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)


def scopes(granted: object) -> list[str]:
    """Return scopes as a list. Some providers separate them by commas instead of spaces."""
    if isinstance(granted, str):
        return granted.replace(",", " ").split()
    return [str(each) for each in granted] if isinstance(granted, list | tuple | set) else []
