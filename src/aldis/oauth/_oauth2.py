"""OAuth 2 and OpenID Connect with Authlib, and the checks that Authlib leaves to its caller."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, quote_plus, urlsplit

import requests
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.common.security import generate_token  # type: ignore[import-untyped]
from authlib.consts import default_user_agent  # type: ignore[import-untyped]
from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OAuthError, OpenIDMixin  # type: ignore[import-untyped]
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]
from authlib.oauth2.auth import TokenAuth  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import OAuth2Token  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from joserfc.errors import InvalidClaimError

from aldis._compat import forget_loaded_metadata
from aldis.core.process import ForkSafeLock
from aldis.errors import LoginError, OAuthSetupError
from aldis.oauth._drive import MakeLock, resolved
from aldis.oauth._failures import ErrorText, Failure
from aldis.oauth._http import MAX_RESPONSE_SIZE, ConnectionPool, GuardedSession, PooledAdapter
from aldis.oauth._id_token import (
    ASYMMETRIC,
    IssuerKeys,
    check_auth_time,
    claims_of,
    subject_of,
    verified_claims,
)
from aldis.oauth._protocol import AuthorizationRequest, Settings, Token, scopes
from aldis.oauth._refresh import RejectedError, is_rejection
from aldis.oauth._userinfo import claims_in, error_in

__all__ = ["OAuth2Provider", "ProviderApp", "TokenResponses", "encode_basic"]

NEVER: Final = float("-inf")
VERIFIER_LENGTH: Final = 48
NONCE_LENGTH: Final = 20

#: The latest time at which a token may expire, the end of the year 9999. Some providers send huge
#: numbers for tokens that never expire.
LAST_SECOND: Final = 253_402_300_799


class OAuth2Provider:
    """Implements OAuth 2 and OpenID Connect with requests.

    It knows nothing of users and of the requests to the app. Its methods never wait for an event
    loop; those of a subclass for another HTTP client may.

    Args:
        settings: The settings of the provider.

    Attributes:
        transport_errors: The exceptions of the HTTP client.
    """

    transport_errors: tuple[type[Exception], ...] = (requests.RequestException,)

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self._app = self._app_class(
            None,
            settings.name,
            client_id=settings.client_id,
            server_metadata_url=settings.server_metadata_url,
            authorize_url=settings.authorization_url,
            access_token_url=settings.token_url,
            client_kwargs={
                "default_timeout": settings.timeout,
                "max_response_size": settings.max_response_size,
                "default_headers": settings.headers,
                **settings.client_options,
            },
            compliance_fix=settings.compliance_fix,
            client_auth_methods=settings.client_auth_methods,
            user_agent=settings.user_agent,
        )
        self._app.settings = settings
        self._pool: Any = self._make_pool()
        self._keys: IssuerKeys = IssuerKeys(self._fetch_keys, self._make_lock)

    _make_lock: MakeLock = staticmethod(ForkSafeLock)

    @property
    def _app_class(self) -> type[Any]:
        """Authlib's client of a provider, for this HTTP client."""
        return _App

    def _make_pool(self) -> Any:
        return ConnectionPool(self.settings.max_response_size)

    # -- a login -------------------------------------------------------------------------------

    async def start(self, redirect_uri: str, params: Mapping[str, Any]) -> AuthorizationRequest:
        """Return the request for the user's browser, with a new state, verifier and nonce.

        Args:
            redirect_uri: The URL to which the provider sends the user back.
            params: Parameters to add to the request.
        """
        settings = self.settings
        settings.check_params(params, "the parameters of a login")
        scope = settings.scope_separator.join(settings.scope) or None
        known = {"scope": scope, **settings.authorization_url_params, **params}
        verifier = nonce = None
        if settings.pkce:
            # Parameters, because Authlib logs the verifier if it creates the challenge itself.
            verifier = generate_token(VERIFIER_LENGTH)
            known["code_challenge"] = create_s256_code_challenge(verifier)
            known["code_challenge_method"] = "S256"
        if settings.nonce and "openid" in settings.scope:
            nonce = known["nonce"] = generate_token(NONCE_LENGTH)
        metadata = await self._metadata()
        endpoint = settings.authorization_url or metadata["authorization_endpoint"]
        async with self._session(redirect_uri=redirect_uri) as client:
            url, state = client.create_authorization_url(endpoint, **known)
        return AuthorizationRequest(url, state, verifier, nonce, _number(known.get("max_age")))

    def state_in(self, args: Mapping[str, str]) -> str | None:
        """Return the state in the response."""
        return args.get("state")

    def error_in(self, args: Mapping[str, str]) -> Failure | None:
        """Return the error that the response reports."""
        error = args.get("error")
        if not error:
            return None
        return Failure(ErrorText(error), args.get("error_description"), args.get("error_uri"))

    async def check_origin(self, args: Mapping[str, str]) -> None:
        """Reject a response of another provider (RFC 9207).

        Raises:
            LoginError: The response names another issuer, or none although the provider's metadata
                announces one.
        """
        metadata = await self._metadata()
        issuer = self.settings.issuer or metadata.get("issuer")
        # A function needs the claims of the id_token, which is checked later.
        expected = None if callable(issuer) else _as_list(issuer)
        found = args.get("iss")
        announced = metadata.get("authorization_response_iss_parameter_supported") is True
        if found is None and announced:
            raise LoginError("issuer_missing", "the response does not name its provider")
        if found is not None and expected is not None and found not in expected:
            raise LoginError("issuer_mismatch", "the response is from another provider")

    async def fetch_token(
        self, args: Mapping[str, str], redirect_uri: str, request: AuthorizationRequest
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
        if request.secret:
            extra["code_verifier"] = request.secret
        await self._metadata()
        with _without_token_in_errors(self.transport_errors):
            found = await resolved(
                self._app.fetch_access_token(redirect_uri=redirect_uri, code=code, **extra)
            )
        token = dict(found)
        _require_usable(token)
        _add_lifetime(token)
        granted = token.get("scope")
        token["scope"] = list(self.settings.scope) if granted is None else scopes(granted)
        if "openid" in self.settings.scope:
            added = self.settings.callback_claims
            unsigned = added(args) if added else {}
            token["userinfo"] = {**unsigned, **await self._checked_claims(token, request)}
        return token

    async def _checked_claims(self, token: Token, request: AuthorizationRequest) -> dict[str, Any]:
        if not token.get("id_token"):
            raise LoginError(
                "id_token_missing", "the provider sent no id_token, although openid was requested"
            )
        settings = self.settings
        if settings.nonce and not request.nonce:
            raise LoginError("id_token_invalid", "no nonce is known to check it")
        options = {
            "aud": {"essential": True, "value": settings.client_id},
            **settings.claims_options,
        }
        params = {
            "nonce": request.nonce,
            "client_id": settings.client_id,
            "access_token": token["access_token"],
        }
        known: tuple[type[Exception], ...] = (LoginError, *self.transport_errors)
        try:
            claims = await verified_claims(
                token["id_token"],
                self._keys,
                algorithms=await self._algorithms(),
                secret=settings.secret,
                options=options,
                params=params,
                leeway=settings.id_token_leeway,
            )
            if "iss" not in settings.claims_options:
                await self._check_issuer(claims)
            if request.max_age is not None:
                check_auth_time(claims, request.max_age, settings.id_token_leeway)
        except known:
            raise
        except Exception as error:
            kind = type(error).__name__
            named = getattr(error, "claim", None) or getattr(error, "claim_name", None)
            where = f"{kind}: {named}" if named else kind
            raise LoginError("id_token_invalid", f"the id_token was refused ({where})") from error
        return claims

    async def _check_issuer(self, claims: Mapping[str, Any]) -> None:
        issuer = self.settings.issuer or (await self._metadata()).get("issuer")
        expected = issuer(claims) if callable(issuer) else issuer
        if not expected:
            raise LoginError("id_token_invalid", "no issuer is known to check it")
        if claims.get("iss") not in _as_list(expected):
            raise InvalidClaimError("iss")

    async def _algorithms(self) -> list[str]:
        """Return the algorithms that are accepted. Without the app's own, only public keys are."""
        if self.settings.id_token_algorithms is not None:
            return [each for each in self.settings.id_token_algorithms if each != "none"]
        listed = (await self._metadata()).get("id_token_signing_alg_values_supported")
        if listed is None:
            return list(ASYMMETRIC)
        return [each for each in ASYMMETRIC if each in listed]

    async def _fetch_keys(self) -> Any:
        url = self.settings.jwks_uri or (await self._metadata()).get("jwks_uri")
        if not url:
            raise LoginError("id_token_invalid", "the provider's metadata has no jwks_uri")
        async with self._session() as client:
            response = await resolved(client.request("GET", url, withhold_token=True))
            response.raise_for_status()
            try:
                return response.json()
            except ValueError as error:
                text = f"the provider gave an unusable answer ({type(error).__name__})"
                raise LoginError("provider_error", text) from error

    # -- afterwards ----------------------------------------------------------------------------

    async def _metadata(self) -> dict[str, Any]:
        """Return the provider's metadata. Authlib loads it once."""
        metadata: dict[str, Any] = await resolved(self._app.load_server_metadata())
        if self.settings.server_metadata_url:
            try:
                self._app.check(metadata)
            except LoginError:
                # Another page may have answered in place of the provider, for a moment only.
                forget_loaded_metadata(metadata)
                raise
        return metadata

    def client(self, token: Mapping[str, Any], *, pooled: bool = False) -> Any:
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

    async def refresh(self, token: Mapping[str, Any]) -> Token:
        """Fetch the token that replaces ``token``.

        Raises:
            RejectedError: The provider does not accept the refresh token any more.
            Exception: Authlib or requests got no token.
        """
        metadata = await self._metadata()
        url = self.settings.token_url or metadata["token_endpoint"]
        known = {**self.settings.refresh_params, "refresh_token": token["refresh_token"]}
        async with self._session(token=dict(token)) as client:
            try:
                with _without_token_in_errors(self.transport_errors):
                    fetched = dict(await resolved(client.refresh_token(url, **known)))
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

    async def userinfo(self, token: Mapping[str, Any]) -> dict[str, Any]:
        """Fetch the claims of the user who has ``token``.

        Raises:
            LoginError: The response is not an object, or is about another user.
            OAuthSetupError: The URL of the endpoint is not known.
            requests.RequestException: The provider could not be reached, or it refused the token.
        """
        settings = self.settings
        if settings.userinfo_in_id_token:
            return _claims_at_login(token)
        url = await self._endpoint("userinfo_url", "userinfo_endpoint")
        headers = {"Accept": "application/json", **settings.headers}
        options = {"method": "GET", "headers": headers, **settings.userinfo_options}
        async with self._session(token=dict(token), leeway=NEVER) as client:
            response = await resolved(client.request(url=url, **options))
        claims = claims_in(response, settings.userinfo_subject)
        subject = subject_of(token.get("id_token"))
        if subject is not None and claims.get("sub") != subject:
            # OpenID Connect Core 5.3.2: the claims must not be used.
            raise LoginError("userinfo_invalid", "the userinfo response is about another user")
        return claims

    async def logout_url(
        self, token: Mapping[str, Any] | None, redirect_uri: str | None
    ) -> str | None:
        """Return the provider's page that ends its own session, or ``None`` without one.

        Args:
            token: The user's token; its id_token tells the provider who logs out.
            redirect_uri: The URL to which the provider sends the user back. The provider must
                know it.
        """
        metadata = await self._metadata()
        if self.settings.logout_url:
            metadata["end_session_endpoint"] = self.settings.logout_url
        if not metadata.get("end_session_endpoint"):
            return None
        made = await resolved(
            self._app.create_logout_url(
                post_logout_redirect_uri=redirect_uri,
                id_token_hint=(token or {}).get("id_token"),
                client_id=self.settings.client_id,
            )
        )
        return str(made["url"])

    async def revoke(self, token: Mapping[str, Any]) -> None:
        """Revoke the refresh token, or the access token without one (RFC 7009).

        Raises:
            LoginError: The provider refused.
            OAuthSetupError: The URL of the endpoint is not known.
            requests.RequestException: The provider could not be reached.
        """
        url = await self._endpoint("revocation_url", "revocation_endpoint")
        kind = "refresh_token" if token.get("refresh_token") else "access_token"
        async with self._session(token=dict(token)) as client:
            # The client authenticates as at the token endpoint.
            client.revocation_endpoint_auth_method = client.token_endpoint_auth_method
            response = await resolved(
                client.revoke_token(url, token=token[kind], token_type_hint=kind)
            )
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            text = f"the provider refused to revoke the token (HTTP {response.status_code})"
            raise LoginError("revocation_failed", text)

    async def _endpoint(self, setting: str, name: str) -> str:
        found = getattr(self.settings, setting) or (await self._metadata()).get(name)
        if not found:
            message = (
                f"the provider {self.settings.name!r} has no {name}: give {setting}= to "
                "OAuthBlueprint"
            )
            raise OAuthSetupError(message)
        return str(found)

    def is_same_account(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Return whether the id_tokens of both tokens have the same subject.

        Args:
            old: A token from the storage. Its id_token was checked before it was stored.
            new: A token with checked claims.
        """
        subject = new.get("userinfo", {}).get("sub")
        return subject is not None and subject == subject_of(old.get("id_token"))

    def _session(self, **options: Any) -> Any:
        settings = self.settings
        known = {**self._app.client_kwargs, **options}
        made = self._app_class.client_cls(settings.client_id, settings.secret, **known)
        for method in settings.client_auth_methods:
            made.register_client_auth_method(method)
        if settings.compliance_fix:
            settings.compliance_fix(made)
        made.headers["User-Agent"] = settings.user_agent or default_user_agent
        made.headers.update(settings.headers)
        return made


class TokenResponses:
    """Reads the token in a response. It is a base of the clients of Authlib."""

    token: Any

    def parse_response_token(self, resp: Any) -> Token:
        """Return the token in a response: an object in JSON, or a form."""
        fields = _fields(resp)
        error = error_in(fields)
        if error and (fields.get("error") or not fields.get("access_token")):
            raise OAuthError(*error)
        if "expires" in fields:
            # Facebook's old name.
            fields.setdefault("expires_in", fields["expires"])
        self.token = fields
        token: Token = self.token
        return token


class _Session(TokenResponses, GuardedSession, OAuth2Session):  # type: ignore[misc]
    """Authlib's session with limits for its calls."""

    def __init__(
        self,
        *args: Any,
        max_response_size: int = MAX_RESPONSE_SIZE,
        default_headers: Mapping[str, str] | None = None,
        adapter: PooledAdapter | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.headers.update(default_headers or {})
        self.guard(max_response_size, adapter)
        self.register_client_auth_method(("client_secret_basic", encode_basic))


def _fields(response: Any) -> dict[str, Any]:
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        response.raise_for_status()
    try:
        found = response.json()
    except ValueError:
        found = dict(parse_qsl(response.text))
        if not {"access_token", "error"} & set(found):
            response.raise_for_status()
            # Without a cause, because the error of the parser has the whole response.
            raise ValueError("neither JSON nor a form") from None
    if not isinstance(found, dict):
        response.raise_for_status()
        raise TypeError(type(found))
    return found


def encode_basic(client: Any, method: str, uri: str, headers: Any, body: Any) -> Any:  # noqa: ARG001 - Authlib's signature
    """Authenticate with the id and the secret, form-encoded as RFC 6749 2.3.1 requires."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret or '')}"
    headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return uri, headers, body


class ProviderApp:
    """The part of Authlib's client of a provider that is aldis's own."""

    settings: Settings
    authorize_url: str | None
    access_token_url: str | None
    client_kwargs: dict[str, Any]

    @property
    def client_secret(self) -> str | None:
        """The secret. It is in the settings, and a function may make it anew."""
        return self.settings.secret

    @client_secret.setter
    def client_secret(self, secret: str | None) -> None:
        """Ignore the value of Authlib's constructor."""

    def check(self, metadata: dict[str, Any]) -> None:
        """Remove unknown names from the provider's metadata.

        Raises:
            LoginError: An endpoint is missing, or is not a web address.
        """
        for name in [name for name in metadata if not _is_metadata(name)]:
            # Authlib would take other names for options of its HTTP client, such as `verify`.
            del metadata[name]
        begins = self.authorize_url or metadata.get("authorization_endpoint")
        if not begins or not (self.access_token_url or metadata.get("token_endpoint")):
            raise LoginError("discovery_failed", "the provider's metadata names no endpoints")
        if not self.authorize_url and not _is_web_address(begins):
            text = "the authorization_endpoint of the provider's metadata is not a web address"
            raise LoginError("discovery_failed", text)
        offered = metadata.get("token_endpoint_auth_methods_supported") or []
        post_only = "client_secret_basic" not in offered and "client_secret_post" in offered
        if self.settings.client_secret and post_only:
            self.client_kwargs.setdefault("token_endpoint_auth_method", "client_secret_post")


class _App(ProviderApp, OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]
    """Authlib's client of one provider, without its connection to a web framework."""

    client_cls = _Session


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
    """Return whether aldis uses this name of the metadata."""
    known = ("issuer", "jwks", "jwks_uri", "_loaded_at")
    return name in known or name.endswith(("_endpoint", "_supported"))


@contextmanager
def _without_token_in_errors(transport: tuple[type[Exception], ...]) -> Generator[None]:
    """Replace errors of Authlib that contain the provider's answer, because a token is in it."""
    try:
        yield
    except (AuthlibBaseError, LoginError, *transport):
        raise
    except Exception as error:  # noqa: BLE001 - Authlib fails in many ways
        text = f"the provider gave an unusable answer ({type(error).__name__})"
        # Without a cause, because such errors show the unusable value.
        raise LoginError("provider_error", text) from None


def _claims_at_login(token: Mapping[str, Any]) -> dict[str, Any]:
    claims = claims_of(token.get("id_token"))
    if not claims:
        raise LoginError("userinfo_invalid", "the token has no id_token with the user's claims")
    return claims


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


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
