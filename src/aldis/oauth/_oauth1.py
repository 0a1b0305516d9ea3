"""OAuth 1.0a with Authlib. Errors and logs never contain a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import requests
from authlib.consts import default_user_agent  # type: ignore[import-untyped]
from authlib.integrations.requests_client import OAuth1Session  # type: ignore[import-untyped]

from aldis.errors import LoginError, OAuthSetupError
from aldis.oauth._failures import Failure
from aldis.oauth._http import ConnectionPool, GuardedSession, PooledAdapter
from aldis.oauth._protocol import AuthorizationRequest, Settings, Token
from aldis.oauth._userinfo import claims_in

__all__ = ["OAuth1Provider", "RefusedError"]


class RefusedError(LoginError):
    """The response of an OAuth 1 provider contains no token.

    Args:
        code: The code of the :class:`LoginError`.
        description: The description of the :class:`LoginError`.
        response: The response.
    """

    def __init__(self, code: str, description: str, response: requests.Response) -> None:
        super().__init__(code, description)
        self.response: requests.Response = response


class OAuth1Provider:
    """Implements OAuth 1.0a. It knows nothing of users and of Flask's requests.

    Args:
        settings: The settings of the provider.

    Attributes:
        transport_errors: The exceptions of the HTTP client.
    """

    transport_errors: tuple[type[Exception], ...] = (requests.RequestException,)

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self._pool: ConnectionPool = ConnectionPool(settings.max_response_size)

    async def start(self, redirect_uri: str, params: Mapping[str, Any]) -> AuthorizationRequest:
        """Fetch a request token, and return the request for the user's browser.

        Args:
            redirect_uri: The URL to which the provider sends the user back.
            params: Parameters to add to the request.
        """
        with self._session(redirect_uri=redirect_uri) as client:
            granted = client.fetch_request_token(
                self.settings.request_token_url, timeout=self.settings.timeout
            )
            url = client.create_authorization_url(
                self.settings.authorization_url,
                **{**self.settings.authorization_url_params, **params},
            )
        return AuthorizationRequest(url, granted["oauth_token"], granted["oauth_token_secret"])

    def state_in(self, args: Mapping[str, str]) -> str | None:
        """Return the request token in the response, which is also there if the user declined."""
        return args.get("oauth_token") or args.get("denied")

    def error_in(self, args: Mapping[str, str]) -> Failure | None:  # noqa: ARG002 - the protocol
        """Return ``None``: if the user declined, the response only lacks the verifier."""
        return None

    async def check_origin(self, args: Mapping[str, str]) -> None:
        """Accept every response: the request token identifies the provider."""

    async def fetch_token(
        self,
        args: Mapping[str, str],
        redirect_uri: str,  # noqa: ARG002 - only OAuth 2 needs it
        request: AuthorizationRequest,
    ) -> Token:
        """Exchange the verifier in ``args`` for a token.

        Raises:
            LoginError: The verifier is missing, or the provider rejected it.
            requests.RequestException: The provider could not be reached.
        """
        verifier = args.get("oauth_verifier")
        if not verifier:
            raise LoginError("verifier_missing", "the provider sent no verifier")
        known: dict[str, Any] = {
            "token": args["oauth_token"],
            "token_secret": request.secret,
            "verifier": verifier,
        }
        with self._session(**known) as client:
            token: Token = client.fetch_access_token(
                self.settings.token_url, timeout=self.settings.timeout
            )
        return token

    def client(self, token: Mapping[str, Any], *, pooled: bool = False) -> requests.Session:
        """Return a new HTTP client that signs its requests with ``token``.

        Args:
            token: The token.
            pooled: Whether the client may use connections that are open already.
        """
        made = self._session(
            self._pool.adapter() if pooled else None,
            token=token["oauth_token"],
            token_secret=token["oauth_token_secret"],
        )
        made.follows_redirects = True
        return made

    def authorizes(self, token: Mapping[str, Any]) -> bool:
        """Return whether calls with ``token`` are possible."""
        return bool(token.get("oauth_token") and token.get("oauth_token_secret"))

    def expired(self, token: Mapping[str, Any], leeway: float) -> bool:  # noqa: ARG002 - the protocol
        """Return ``False``: OAuth 1 tokens do not expire."""
        return False

    async def refresh(self, token: Mapping[str, Any]) -> Token:  # noqa: ARG002 - the protocol
        """Raise an error: OAuth 1 tokens cannot be refreshed.

        Raises:
            LoginError: Always.
        """
        raise LoginError("refresh_unsupported", "OAuth 1 tokens cannot be refreshed")

    async def userinfo(self, token: Mapping[str, Any]) -> dict[str, Any]:
        """Fetch the claims of the user who has ``token``. OAuth 1 defines no endpoint for them.

        Raises:
            LoginError: The response is not an object, or has no id of the user.
            OAuthSetupError: The blueprint has no ``userinfo_url``.
            requests.RequestException: The provider could not be reached, or it refused the token.
        """
        settings = self.settings
        if not settings.userinfo_url:
            message = (
                f"the provider {settings.name!r} has no userinfo_url: OAuth 1 defines none, so "
                "give the URL of the provider's own API to OAuthBlueprint"
            )
            raise OAuthSetupError(message)
        options = {"method": "GET", "timeout": settings.timeout, **settings.userinfo_options}
        with self.client(token) as client:
            response = client.request(url=settings.userinfo_url, **options)
        return claims_in(response, settings.userinfo_subject)

    async def logout_url(
        self,
        token: Mapping[str, Any] | None,  # noqa: ARG002 - the protocol
        redirect_uri: str | None,  # noqa: ARG002
    ) -> str | None:
        """Return ``None``: OAuth 1 defines no logout."""
        return None

    async def revoke(self, token: Mapping[str, Any]) -> None:  # noqa: ARG002 - the protocol
        """Raise an error: OAuth 1 defines no revocation.

        Raises:
            OAuthSetupError: Always.
        """
        raise OAuthSetupError("OAuth 1 has no revocation: delete the token with `del bp.token`")

    def is_same_account(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:  # noqa: ARG002 - the protocol
        """Return ``False``: OAuth 1 tokens have no refresh token to keep."""
        return False

    def _session(self, adapter: PooledAdapter | None = None, **options: Any) -> _Session:
        known = {**self.settings.client_options, **options}
        secret = self.settings.secret
        if known.get("signature_method") == "RSA-SHA1":
            # The secret of such a client is its private key.
            known.setdefault("rsa_key", secret)
        made = _Session(self.settings.client_id, secret, **known)
        made.guard(self.settings.max_response_size, adapter)
        made.headers["User-Agent"] = self.settings.user_agent or default_user_agent
        made.headers.update(self.settings.headers)
        return made


class _Session(GuardedSession, OAuth1Session):  # type: ignore[misc]
    """Authlib's session. Its errors do not contain the response, because a token may be in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def fetch_request_token(self, url: str | None, **kwargs: Any) -> Token:
        return self._checked(super().fetch_request_token, url, **kwargs)

    def fetch_access_token(
        self, url: str | None, verifier: str | None = None, **kwargs: Any
    ) -> Token:
        return self._checked(super().fetch_access_token, url, verifier, **kwargs)

    def _checked(self, fetch: Callable[..., Token], *args: Any, **kwargs: Any) -> Token:
        responses: list[requests.Response] = []

        def note(response: requests.Response, **_options: Any) -> None:
            responses.append(response)

        try:
            token = fetch(*args, hooks={"response": note}, **kwargs)
        except ValueError:
            if not responses:
                raise
            # Without a cause, because Authlib's message contains the response.
            raise _unusable(responses[-1]) from None
        if not token.get("oauth_token") or not token.get("oauth_token_secret"):
            raise _unusable(responses[-1])
        return token

    def parse_response_token(self, status_code: int, text: str) -> Token:
        if status_code >= HTTPStatus.BAD_REQUEST:
            raise ValueError(status_code)
        token: Token = super().parse_response_token(status_code, text)
        if not token.get("oauth_token"):
            raise ValueError("no token")
        return token


def _unusable(response: requests.Response) -> RefusedError:
    if response.ok:
        return RefusedError("provider_error", "the provider's answer holds no token", response)
    text = f"the provider refused a token (HTTP {response.status_code})"
    return RefusedError("token_refused", text, response)
