"""The interface between the blueprint and an OAuth protocol, and the settings of a provider."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote_plus, urljoin

from aldis.errors import OAuthSetupError
from aldis.oauth._failures import Failure
from aldis.oauth._http import MAX_RESPONSE_SIZE

__all__ = ["AuthorizationRequest", "Provider", "Settings", "Token", "scopes"]

Token = dict[str, Any]

#: The number of earlier secrets of a function that are still removed from errors.
KEPT_SECRETS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A provider, and this application as its client.

    See :class:`aldis.oauth.OAuthBlueprint` for the meaning of each setting.
    """

    name: str
    client_id: str
    client_secret: str | Callable[[], str] | None = field(default=None, repr=False)
    secret_maker: Callable[[str, str | None], str] | None = None
    server_metadata_url: str | None = None
    authorization_url: str | None = None
    token_url: str | None = None
    request_token_url: str | None = None
    base_url: str | Callable[[Mapping[str, Any]], str | None] | None = None
    scope: Sequence[str] = ()
    scope_separator: str = " "
    issuer: str | Sequence[str] | Callable[[Mapping[str, Any]], str | None] | None = None
    jwks_uri: str | None = None
    userinfo_url: str | None = None
    userinfo_subject: str | Sequence[str] | None = None
    userinfo_options: Mapping[str, Any] = field(default_factory=dict)
    userinfo_in_id_token: bool = False
    callback_claims: Callable[[Mapping[str, str]], Mapping[str, Any]] | None = None
    logout_url: str | None = None
    revocation_url: str | None = None
    authorization_url_params: Mapping[str, Any] = field(default_factory=dict)
    token_url_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    refresh_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    client_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    client_auth_methods: Sequence[Any] = field(default=(), repr=False)
    compliance_fix: Callable[[Any], object] | None = None
    user_agent: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    claims_options: Mapping[str, Any] = field(default_factory=dict)
    id_token_algorithms: Sequence[str] | None = None
    id_token_leeway: float = 60.0
    nonce: bool = True
    pkce: bool = True
    timeout: float = 10.0
    max_response_size: int = MAX_RESPONSE_SIZE
    made_secrets: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        missing = self._missing()
        if missing:
            message = (
                f"the provider {self.name!r} has no {' and no '.join(missing)}: give them to "
                "OAuthBlueprint"
            )
            raise OAuthSetupError(message)
        self.check_params(self.authorization_url_params, "authorization_url_params")

    def check_params(self, params: Mapping[str, Any], name: str) -> None:
        """Refuse parameters that aldis makes anew for each login.

        Args:
            params: Parameters of the authorization request.
            name: Their name in the error message.

        Raises:
            OAuthSetupError: They contain such a parameter. All users would share its value.
        """
        fixed = {"state", "nonce", "code_challenge"} & set(params)
        if fixed:
            message = f"{name} of {self.name!r} must not fix {sorted(fixed)}"
            raise OAuthSetupError(message)

    def _missing(self) -> list[str]:
        if self.server_metadata_url:
            return []
        needed = ["authorization_url", "token_url"]
        if "openid" in self.scope:
            needed += ["issuer", "jwks_uri"]
        return [name for name in needed if not getattr(self, name)]

    @property
    def secret(self) -> str | None:
        """The client's secret. A function makes it anew."""
        configured = self.client_secret() if callable(self.client_secret) else self.client_secret
        made = self.secret_maker(self.client_id, configured) if self.secret_maker else configured
        if made and made != self.client_secret and made not in self.made_secrets:
            # The error of a call that runs may contain one of the last secrets.
            self.made_secrets[:] = [*self.made_secrets[-KEPT_SECRETS:], made]
        return made

    @property
    def secrets(self) -> list[str]:
        """The secrets that are sent, alone and in the form of the Authorization header."""
        # A private key is never sent.
        signs = self.secret_maker or self.client_options.get("signature_method") == "RSA-SHA1"
        fixed = None if signs or callable(self.client_secret) else self.client_secret
        method = self.client_options.get("token_endpoint_auth_method")
        found = []
        for secret in filter(None, [*self.made_secrets, fixed]):
            found.append(secret)
            if method != "client_secret_post":
                pairs = (
                    f"{self.client_id}:{secret}",
                    f"{quote_plus(self.client_id)}:{quote_plus(secret)}",
                )
                found += [b64encode(pair.encode()).decode() for pair in pairs]
        return found

    def resolve(self, url: str, token: Mapping[str, Any]) -> str:
        """Return ``url`` as an absolute URL. A relative one is relative to ``base_url``.

        Args:
            url: The URL.
            token: The token of the user.
        """
        base = self.base_url(token) if callable(self.base_url) else self.base_url
        return urljoin(base, url) if base else url


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """The request that sends a user to the provider, with the secrets of this login.

    Attributes:
        url: The provider's page.
        state: The value that the provider sends back to identify the login.
        secret: The PKCE verifier, or the secret of an OAuth 1 request token.
        nonce: The value that the id_token must contain.
        max_age: The seconds since the user's last proof of who they are.
    """

    url: str = field(repr=False)
    state: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)
    max_age: float | None = None


class Provider(Protocol):
    """Implements one OAuth protocol for one provider.

    All requests share it, so it stores nothing about a user. Its coroutines wait for an event loop
    only if its HTTP client does.

    Attributes:
        settings: The settings of the provider.
        transport_errors: The exceptions of the HTTP client.
    """

    settings: Settings
    transport_errors: tuple[type[Exception], ...]

    async def start(self, redirect_uri: str, params: Mapping[str, Any]) -> AuthorizationRequest:
        """Begin a login and return the request for the user's browser.

        Args:
            redirect_uri: The URL to which the provider sends the user back.
            params: Parameters to add to the request.
        """
        ...

    def state_in(self, args: Mapping[str, str]) -> str | None:
        """Return the value that identifies the login in the provider's response."""
        ...

    def error_in(self, args: Mapping[str, str]) -> Failure | None:
        """Return the error that the provider's response reports."""
        ...

    async def check_origin(self, args: Mapping[str, str]) -> None:
        """Raise LoginError if the response is from another provider."""
        ...

    async def fetch_token(
        self, args: Mapping[str, str], redirect_uri: str, request: AuthorizationRequest
    ) -> Token:
        """Exchange the provider's response for a token.

        Args:
            args: The query of the response.
            redirect_uri: The URL that the login began with.
            request: The request that the login began with. Its URL is not known any more.
        """
        ...

    def client(self, token: Mapping[str, Any], *, pooled: bool = False) -> Any:
        """Return a new HTTP client that authenticates with ``token``.

        Args:
            token: The token.
            pooled: Whether the client may use connections that are open already.
        """
        ...

    def authorizes(self, token: Mapping[str, Any]) -> bool:
        """Return whether calls with ``token`` are possible."""
        ...

    def expired(self, token: Mapping[str, Any], leeway: float) -> bool:
        """Return whether ``token`` expires within ``leeway`` seconds."""
        ...

    async def refresh(self, token: Mapping[str, Any]) -> Token:
        """Fetch the token that replaces ``token``."""
        ...

    async def userinfo(self, token: Mapping[str, Any]) -> dict[str, Any]:
        """Fetch the claims of the user who has ``token``."""
        ...

    async def logout_url(
        self, token: Mapping[str, Any] | None, redirect_uri: str | None
    ) -> str | None:
        """Return the provider's page that ends its own session, or ``None`` without one."""
        ...

    async def revoke(self, token: Mapping[str, Any]) -> None:
        """Tell the provider that ``token`` is not needed any more."""
        ...

    def is_same_account(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Return whether both tokens are certainly for one account of the provider.

        Args:
            old: A token from the storage.
            new: A token that the provider has just issued.
        """
        ...


def scopes(granted: object) -> list[str]:
    """Return scopes as a list. Some providers separate them with commas instead of spaces."""
    if isinstance(granted, str):
        return granted.replace(",", " ").split()
    return [str(each) for each in granted] if isinstance(granted, list | tuple | set) else []
