"""OAuth 2 and OpenID Connect: Authlib's client, and the checks that it leaves to its caller."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import requests
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.common.security import generate_token  # type: ignore[import-untyped]
from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OpenIDMixin  # type: ignore[import-untyped]
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]
from authlib.oauth2.auth import TokenAuth  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import OAuth2Token  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]

from aldis._compat import forget_loaded_metadata
from aldis.errors import LoginError
from aldis.oauth.failures import ErrorText, Failure
from aldis.oauth.pending import PendingLogin
from aldis.oauth.settings import Settings, Started, scopes

__all__ = ["OAuth2Provider"]

#: Seconds by which our clock may differ from the provider's.
LEEWAY: Final = 60
NEVER: Final = float("-inf")
VERIFIER_LENGTH: Final = 48


class OAuth2Provider:
    """Talks to an OAuth 2 or OpenID Connect provider; knows nothing of users and requests.

    Args:
        settings: The provider.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
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
                **settings.client_options,
            },
            **{name: value for name, value in given.items() if value},
        )
        self._app.is_described_online = bool(settings.server_metadata_url)

    # -- a login -------------------------------------------------------------------------------

    def start(self, redirect_uri: str) -> Started:
        """Return where to send the user, with a state, verifier and nonce of his own."""
        params = dict(self.settings.authorization_url_params)
        verifier = None
        if self.settings.pkce:
            # Handed over as parameters: given the method, Authlib would write the verifier to the
            # log.
            verifier = generate_token(VERIFIER_LENGTH)
            params["code_challenge"] = create_s256_code_challenge(verifier)
            params["code_challenge_method"] = "S256"
        made = self._app.create_authorization_url(redirect_uri, **params)
        return Started(made["url"], made["state"], verifier, made.get("nonce"))

    def state_in(self, args: Mapping[str, str]) -> str | None:
        """Return the state that the provider repeats."""
        return args.get("state")

    def error_in(self, args: Mapping[str, str]) -> Failure | None:
        """Return the error that the provider reports instead of a code."""
        error = args.get("error")
        if not error:
            return None
        return Failure(ErrorText(error), args.get("error_description"), args.get("error_uri"))

    def check_origin(self, args: Mapping[str, str]) -> None:
        """Refuse an answer of another provider (RFC 9207).

        Raises:
            LoginError: The answer names another issuer, or none though the provider promised to.
        """
        metadata = self._app.load_server_metadata()
        told, expected = args.get("iss"), metadata.get("issuer")
        promised = metadata.get("authorization_response_iss_parameter_supported") is True
        if told is None and promised:
            raise LoginError("issuer_missing", "the answer does not say which provider it is from")
        if told is not None and expected is not None and told != expected:
            raise LoginError("issuer_mismatch", "the answer is from another provider")

    def finish(
        self, args: Mapping[str, str], redirect_uri: str, login: PendingLogin
    ) -> dict[str, Any]:
        """Return the token for the code in ``args``, its id_token checked.

        Raises:
            LoginError: The answer is not what was asked for.
            Exception: Whatever Authlib and requests raise on an answer they cannot use.
        """
        code = args.get("code")
        if not code:
            raise LoginError("code_missing", "the provider sent neither a code nor an error")
        extra = dict(self.settings.token_url_params)
        if login.secret:
            extra["code_verifier"] = login.secret
        with _answer():
            found = self._app.fetch_access_token(redirect_uri=redirect_uri, code=code, **extra)
        token = dict(found)
        _require_usable(token)
        granted = token.get("scope")
        token["scope"] = list(self.settings.scope) if granted is None else scopes(granted)
        if "openid" in self.settings.scope:
            token["userinfo"] = self._checked_claims(token, login.nonce)
        return token

    def _checked_claims(self, token: dict[str, Any], nonce: str | None) -> dict[str, Any]:
        if not token.get("id_token"):
            raise LoginError("id_token_missing", "openid was asked for and no id_token came")
        issuer = self._app.server_metadata.get("issuer")
        if not issuer or not nonce:
            raise LoginError("id_token_invalid", "there is no issuer or nonce to check it against")
        expected = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": self.settings.client_id},
        }
        try:
            claims = self._app.parse_id_token(
                token, nonce=nonce, claims_options=expected, leeway=LEEWAY
            )
        except requests.RequestException:
            raise
        except Exception as error:
            # The keys may have been the wrong ones: the next login fetches them again.
            self._app.server_metadata.pop("jwks", None)
            kind = type(error).__name__
            raise LoginError("id_token_invalid", f"the id_token was refused ({kind})") from error
        return dict(claims)

    # -- afterwards ----------------------------------------------------------------------------

    def client(self, token: Mapping[str, Any]) -> requests.Session:
        """Return a new HTTP client that carries ``token``, and does not renew it by itself."""
        # Authlib's own refresh knows no other request; see aldis.oauth.refresh.
        made: requests.Session = self._session(token=dict(token), leeway=NEVER)
        return made

    def authorizes(self, token: Mapping[str, Any]) -> bool:
        """Tell whether calls can be made with ``token``, once it is renewed."""
        usable = bool(token.get("access_token"))
        return usable and bool(token.get("refresh_token") or not self.expired(token, leeway=0))

    def expired(self, token: Mapping[str, Any], leeway: float) -> bool:
        """Tell whether ``token`` runs out within ``leeway`` seconds."""
        return bool(OAuth2Token(dict(token)).is_expired(leeway))

    def refresh(self, token: Mapping[str, Any]) -> dict[str, Any]:
        """Return the token that takes the place of ``token``.

        Raises:
            Exception: Whatever Authlib and requests raise when they get none.
        """
        metadata = self._app.load_server_metadata()
        url = self.settings.token_url or metadata["token_endpoint"]
        with _answer(), self._session(token=dict(token)) as client:
            renewed = dict(client.refresh_token(url, refresh_token=token["refresh_token"]))
        _require_usable(renewed)
        lasting = {k: v for k, v in token.items() if k not in ("expires_at", "expires_in")}
        if not renewed.get("refresh_token"):
            # Some say so with null or an empty text: the one that was used stays good.
            renewed.pop("refresh_token", None)
        granted = renewed.pop("scope", None)
        merged = lasting | renewed
        if granted is not None:
            merged["scope"] = scopes(granted)
        return merged

    def _session(self, **options: Any) -> Any:
        known = {k: v for k, v in self._app.client_kwargs.items() if k != "scope"}
        return OAuth2Session(
            self.settings.client_id, self.settings.client_secret, **{**known, **options}
        )


class _App(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]
    """Authlib's client of one provider, without the state that it keeps per framework.

    Its clients and its metadata are made and loaded when they are needed.
    """

    client_cls = OAuth2Session
    is_described_online = False

    def load_server_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = super().load_server_metadata()
        if self.is_described_online:
            try:
                self._check(metadata)
            except LoginError:
                # Another page may have answered in place of the provider, for a moment only.
                forget_loaded_metadata(metadata)
                raise
        return metadata

    def _check(self, metadata: dict[str, Any]) -> None:
        begins = self.authorize_url or metadata.get("authorization_endpoint")
        if not begins or not (self.access_token_url or metadata.get("token_endpoint")):
            raise LoginError("discovery_failed", "the provider's metadata names no endpoints")
        signed = metadata.get("id_token_signing_alg_values_supported") or []
        if "none" in signed:
            metadata["id_token_signing_alg_values_supported"] = [
                each for each in signed if each != "none"
            ]
        offered = metadata.get("token_endpoint_auth_methods_supported") or []
        post_only = "client_secret_basic" not in offered and "client_secret_post" in offered
        if self.client_secret and post_only:
            self.client_kwargs.setdefault("token_endpoint_auth_method", "client_secret_post")


@contextmanager
def _answer() -> Generator[None]:
    """Keep what was raised over a token from repeating it."""
    try:
        yield
    except (AuthlibBaseError, requests.RequestException):
        raise
    except Exception as error:  # noqa: BLE001 - what Authlib trips over in an answer
        text = f"the provider gave an unusable answer ({type(error).__name__})"
        # Not with a cause: such errors show the value that could not be used.
        raise LoginError("provider_error", text) from None


def _require_usable(token: dict[str, Any]) -> None:
    if not isinstance(token.get("access_token"), str) or not token["access_token"]:
        raise LoginError("token_missing", "the provider's answer holds no access token")
    if not token.get("token_type"):
        # Some leave it out, or empty, and mean a bearer token, as Authlib takes it.
        token.pop("token_type", None)
        return
    kind = token["token_type"]
    # Authlib's own table: an application may have added a kind to it.
    if not isinstance(kind, str) or kind.lower() not in TokenAuth.SIGN_METHODS:
        text = "the provider's answer holds a token of a type that cannot be used"
        raise LoginError("token_type_unknown", text)
