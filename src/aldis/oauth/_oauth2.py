"""OAuth 2 and OpenID Connect with Authlib, and the checks that Authlib leaves to its caller."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.common.security import generate_token  # type: ignore[import-untyped]
from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OpenIDMixin  # type: ignore[import-untyped]
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]
from authlib.oauth2.auth import TokenAuth  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import OAuth2Token  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from joserfc.errors import JoseError
from joserfc.jws import extract_compact

from aldis._compat import forget_loaded_metadata
from aldis.errors import LoginError
from aldis.oauth._failures import ErrorText, Failure
from aldis.oauth._http import MAX_RESPONSE_SIZE, ConnectionPool, GuardedSession, PooledAdapter
from aldis.oauth._protocol import AuthorizationRequest, Settings, Token, scopes
from aldis.oauth._refresh import RejectedError, is_rejection

__all__ = ["OAuth2Provider"]

#: The seconds by which the provider's clock may differ from this one.
LEEWAY: Final = 60
NEVER: Final = float("-inf")
VERIFIER_LENGTH: Final = 48

#: The latest time at which a token may expire, the end of the year 9999. Some providers send huge
#: numbers for tokens that never expire.
LAST_SECOND: Final = 253_402_300_799


class OAuth2Provider:
    """Implements OAuth 2 and OpenID Connect. It knows nothing of users and of Flask's requests.

    Args:
        settings: The settings of the provider.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        given = {"issuer": settings.issuer, "jwks_uri": settings.jwks_uri}
        self._app = _App(
            None,
            settings.name,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=settings.server_metadata_url,
            authorize_url=settings.authorization_url,
            access_token_url=settings.token_url,
            client_kwargs={
                "scope": " ".join(settings.scope) or None,
                "default_timeout": settings.timeout,
                "max_response_size": settings.max_response_size,
                **settings.client_options,
            },
            **{name: value for name, value in given.items() if value},
        )
        self._app.has_metadata_url = bool(settings.server_metadata_url)
        self._pool: ConnectionPool = ConnectionPool(settings.max_response_size)

    # -- a login -------------------------------------------------------------------------------

    def start(self, redirect_uri: str) -> AuthorizationRequest:
        """Return the request for the user's browser, with a new state, verifier and nonce."""
        params = dict(self.settings.authorization_url_params)
        verifier = None
        if self.settings.pkce:
            # Parameters, because Authlib logs the verifier if it creates the challenge itself.
            verifier = generate_token(VERIFIER_LENGTH)
            params["code_challenge"] = create_s256_code_challenge(verifier)
            params["code_challenge_method"] = "S256"
        made = self._app.create_authorization_url(redirect_uri, **params)
        return AuthorizationRequest(made["url"], made["state"], verifier, made.get("nonce"))

    def state_in(self, args: Mapping[str, str]) -> str | None:
        """Return the state in the response."""
        return args.get("state")

    def error_in(self, args: Mapping[str, str]) -> Failure | None:
        """Return the error that the response reports."""
        error = args.get("error")
        if not error:
            return None
        return Failure(ErrorText(error), args.get("error_description"), args.get("error_uri"))

    def check_origin(self, args: Mapping[str, str]) -> None:
        """Reject a response of another provider (RFC 9207).

        Raises:
            LoginError: The response names another issuer, or none although the provider's metadata
                announces one.
        """
        metadata = self._app.load_server_metadata()
        found, expected = args.get("iss"), metadata.get("issuer")
        announced = metadata.get("authorization_response_iss_parameter_supported") is True
        if found is None and announced:
            raise LoginError("issuer_missing", "the response does not name its provider")
        if found is not None and expected is not None and found != expected:
            raise LoginError("issuer_mismatch", "the response is from another provider")

    def fetch_token(
        self, args: Mapping[str, str], redirect_uri: str, *, secret: str | None, nonce: str | None
    ) -> Token:
        """Exchange the code in ``args`` for a token, and check its id_token.

        Raises:
            LoginError: The code, the token or the id_token is missing or wrong.
            Exception: Authlib or requests cannot use the provider's answer.
        """
        code = args.get("code")
        if not code:
            raise LoginError("code_missing", "the provider sent neither a code nor an error")
        extra = dict(self.settings.token_url_params)
        if secret:
            extra["code_verifier"] = secret
        with _without_token_in_errors():
            found = self._app.fetch_access_token(redirect_uri=redirect_uri, code=code, **extra)
        token = dict(found)
        _require_usable(token)
        _add_lifetime(token)
        granted = token.get("scope")
        token["scope"] = list(self.settings.scope) if granted is None else scopes(granted)
        if "openid" in self.settings.scope:
            token["userinfo"] = self._checked_claims(token, nonce)
        return token

    def _checked_claims(self, token: Token, nonce: str | None) -> dict[str, Any]:
        if not token.get("id_token"):
            raise LoginError(
                "id_token_missing", "the provider sent no id_token, although openid was requested"
            )
        issuer = self._app.server_metadata.get("issuer")
        if not issuer or not nonce:
            raise LoginError("id_token_invalid", "no issuer or nonce is known to check it")
        expected = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": self.settings.client_id},
        }
        try:
            claims = self._app.parse_id_token(
                token, nonce=nonce, claims_options=expected, leeway=LEEWAY
            )
        except (LoginError, requests.RequestException):
            raise
        except Exception as error:
            # The provider may have new keys, so the next login fetches them again.
            self._app.server_metadata.pop("jwks", None)
            kind = type(error).__name__
            raise LoginError("id_token_invalid", f"the id_token was refused ({kind})") from error
        return dict(claims)

    # -- afterwards ----------------------------------------------------------------------------

    def client(self, token: Mapping[str, Any], *, pooled: bool = False) -> requests.Session:
        """Return a new HTTP client that authenticates with ``token`` and never refreshes it.

        Args:
            token: The token.
            pooled: Whether the client may use connections that are open already.
        """
        # Authlib's refresh ignores other requests; TokenRefresher coordinates them.
        adapter = self._pool.adapter() if pooled else None
        made = self._session(token=dict(token), leeway=NEVER, adapter=adapter)
        made.follows_redirects = True
        return made

    def authorizes(self, token: Mapping[str, Any]) -> bool:
        """Return whether calls with ``token`` are possible, after a refresh if it has expired."""
        usable = bool(token.get("access_token"))
        return usable and bool(token.get("refresh_token") or not self.expired(token, leeway=0))

    def expired(self, token: Mapping[str, Any], leeway: float) -> bool:
        """Return whether ``token`` expires within ``leeway`` seconds."""
        return bool(OAuth2Token(dict(token)).is_expired(leeway))

    def refresh(self, token: Mapping[str, Any]) -> Token:
        """Fetch the token that replaces ``token``.

        Raises:
            RejectedError: The provider does not accept the refresh token any more.
            Exception: Authlib or requests got no token.
        """
        metadata = self._app.load_server_metadata()
        url = self.settings.token_url or metadata["token_endpoint"]
        with self._session(token=dict(token)) as client:
            try:
                with _without_token_in_errors():
                    fetched = dict(client.refresh_token(url, refresh_token=token["refresh_token"]))
                _require_usable(fetched)
            except Exception as error:
                if not is_rejection(client.last_response):
                    raise
                raise RejectedError("refresh_rejected", _reason(error)) from error
        _add_lifetime(fetched)
        lasting = {k: v for k, v in token.items() if k not in ("expires_at", "expires_in")}
        if not fetched.get("refresh_token"):
            # The old refresh token stays valid. Some providers send null or an empty text for it.
            fetched.pop("refresh_token", None)
        granted = fetched.pop("scope", None)
        merged = lasting | fetched
        if granted is not None:
            merged["scope"] = scopes(granted)
        return merged

    def is_same_account(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Return whether the id_tokens of both tokens have the same subject.

        Args:
            old: A token from the storage. Its id_token was checked before it was stored.
            new: A token with checked claims.
        """
        subject = new.get("userinfo", {}).get("sub")
        return subject is not None and subject == _subject(old.get("id_token"))

    def _session(self, **options: Any) -> _Session:
        known = {k: v for k, v in self._app.client_kwargs.items() if k != "scope"}
        return _Session(
            self.settings.client_id, self.settings.client_secret, **{**known, **options}
        )


class _Session(GuardedSession, OAuth2Session):  # type: ignore[misc]
    """Authlib's session with limits for its calls."""

    def __init__(
        self,
        *args: Any,
        max_response_size: int = MAX_RESPONSE_SIZE,
        adapter: PooledAdapter | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.guard(max_response_size, adapter)


class _App(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]
    """Authlib's client of one provider, without its connection to a web framework."""

    client_cls = _Session
    has_metadata_url = False

    def load_server_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = super().load_server_metadata()
        if self.has_metadata_url:
            try:
                self._check(metadata)
            except LoginError:
                # Another page may have answered in place of the provider, for a moment only.
                forget_loaded_metadata(metadata)
                raise
        return metadata

    def _check(self, metadata: dict[str, Any]) -> None:
        for name in [name for name in metadata if not _is_metadata(name)]:
            # Authlib would take other names for options of its HTTP client, such as `verify`.
            del metadata[name]
        begins = self.authorize_url or metadata.get("authorization_endpoint")
        if not begins or not (self.access_token_url or metadata.get("token_endpoint")):
            raise LoginError("discovery_failed", "the provider's metadata names no endpoints")
        if not self.authorize_url and not _is_web_address(begins):
            text = "the authorization_endpoint of the provider's metadata is not a web address"
            raise LoginError("discovery_failed", text)
        signed = metadata.get("id_token_signing_alg_values_supported") or []
        if "none" in signed:
            metadata["id_token_signing_alg_values_supported"] = [
                each for each in signed if each != "none"
            ]
        offered = metadata.get("token_endpoint_auth_methods_supported") or []
        post_only = "client_secret_basic" not in offered and "client_secret_post" in offered
        if self.client_secret and post_only:
            self.client_kwargs.setdefault("token_endpoint_auth_method", "client_secret_post")


def _is_web_address(url: object) -> bool:
    """Return whether a browser can be redirected to ``url``."""
    if not isinstance(url, str) or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_metadata(name: str) -> bool:
    """Return whether a name of the provider's metadata is of use, or Authlib's own."""
    known = ("issuer", "jwks", "jwks_uri", "_loaded_at")
    return name in known or name.endswith(("_endpoint", "_supported"))


@contextmanager
def _without_token_in_errors() -> Generator[None]:
    """Replace errors of Authlib that contain the provider's answer, because a token is in it."""
    try:
        yield
    except (AuthlibBaseError, LoginError, requests.RequestException):
        raise
    except Exception as error:  # noqa: BLE001 - Authlib fails in many ways
        text = f"the provider gave an unusable answer ({type(error).__name__})"
        # Without a cause, because such errors show the unusable value.
        raise LoginError("provider_error", text) from None


def _subject(id_token: object) -> Any:
    """Return the subject of an id_token that was checked before."""
    try:
        claims = json.loads(extract_compact(str(id_token).encode()).payload)
    except (JoseError, ValueError):
        return None
    return claims.get("sub") if isinstance(claims, dict) else None


def _reason(error: Exception) -> str:
    if isinstance(error, AuthlibBaseError):
        text = error.description or "the provider rejected the refresh token"
        return f"{error.error}: {text}"
    return str(error)


def _add_lifetime(token: Token) -> None:
    """Add ``expires_in`` if the provider sent only ``expires_at``, and limit both of them."""
    now = int(time.time())
    expires_at = token.get("expires_at")
    if not isinstance(expires_at, int):
        return
    token["expires_at"] = expires_at = min(max(expires_at, 0), LAST_SECOND)
    if (expires_at == LAST_SECOND or not token.get("expires_in")) and expires_at > now:
        token["expires_in"] = expires_at - now


def _require_usable(token: Token) -> None:
    access = token.get("access_token")
    if not isinstance(access, str) or not access:
        raise LoginError("token_missing", "the provider's answer holds no access token")
    if not (access.isascii() and access.isprintable() and access == access.strip()):
        text = "the access token has characters that no HTTP header can contain"
        raise LoginError("token_invalid", text)
    if not token.get("token_type"):
        # Some providers send no type, or an empty one, for a bearer token. Authlib does the rest.
        token.pop("token_type", None)
        return
    kind = token["token_type"]
    # Authlib's own table, because an application may add a type to it.
    if not isinstance(kind, str) or kind.lower() not in TokenAuth.SIGN_METHODS:
        text = "the provider's answer holds a token of a type that cannot be used"
        raise LoginError("token_type_unknown", text)
