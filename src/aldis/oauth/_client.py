"""``bp.session``: an HTTP client that authenticates with the token of the current user."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, Protocol

import requests

from aldis.core.process import ForkSafeLock
from aldis.errors import LoginError, LoginExpiredError, NotLoggedInError
from aldis.oauth._failures import failure_from, redact, token_secrets
from aldis.oauth._protocol import Provider, Token

__all__ = ["UNSAVED_TOKENS", "OAuthSession", "TokenRefresher"]

#: The tokens that providers issued and the storage does not have yet, by blueprint. Receivers of
#: ``oauth_authorized`` call the provider with them. It is a context variable, because ``g`` can
#: outlive a request if an application context is open around it.
UNSAVED_TOKENS: Final[ContextVar[Mapping[Any, Token]]] = ContextVar(
    "aldis_oauth_unsaved_tokens", default=MappingProxyType({})
)

#: The seconds for which a refreshed token is given to requests that still have the old one. A
#: browser sends its cookies when a request starts, so running requests go on with old cookies.
KEEP_SECONDS: Final = 300.0


class _Blueprint(Protocol):
    """The part of a blueprint that its session uses."""

    name: str
    token: Token | None

    @property
    def provider(self) -> Provider: ...

    def authorization_required(self, view: Callable[..., Any]) -> Callable[..., Any]: ...


class OAuthSession:
    """Calls the provider for the current user. It stores nothing about a user.

    Each call reads the token from the storage, refreshes it if it has expired, and uses its own
    HTTP client. No request sees the work of another one.

    Args:
        blueprint: The blueprint of the provider.
        leeway: A token is refreshed if it expires within so many seconds.
    """

    def __init__(self, blueprint: _Blueprint, leeway: float) -> None:
        self._blueprint: _Blueprint = blueprint
        self._leeway: float = leeway
        self._refresher: TokenRefresher = TokenRefresher()

    @property
    def token(self) -> Token | None:
        """The current user's token, or ``None``."""
        unsaved = UNSAVED_TOKENS.get().get(self._blueprint)
        return unsaved if unsaved is not None else self._blueprint.token

    @property
    def access_token(self) -> str | None:
        """The current user's access token as it is stored, or ``None``."""
        token = self.token or {}
        return token.get("access_token") or token.get("oauth_token")

    @property
    def authorized(self) -> bool:
        """Whether calls to the provider are possible for the current user.

        A token that has expired and has no refresh token does not count.
        """
        try:
            token = self.token
        except ValueError:
            # Flask-Dance's storage raises it if no user is logged in.
            return False
        return bool(token) and self._blueprint.provider.authorizes(token or {})

    @property
    def authorization_required(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """The blueprint's decorator, under its name in Flask-Dance."""
        return self._blueprint.authorization_required

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """Call the provider.

        Args:
            method: The HTTP method.
            url: The URL; it may be relative to the blueprint's ``base_url``.
            **kwargs: As for :func:`requests.request`. The default of ``timeout`` is the
                blueprint's.

        Raises:
            NotLoggedInError: The user has no token.
            LoginExpiredError: The token expired, and the provider does not refresh it. The token
                was deleted, so that the user can log in again.
            LoginError: The token expired, and this attempt to refresh it failed.
            requests.RequestException: The provider could not be reached.
        """
        provider = self._blueprint.provider
        token = self._valid_token()
        kwargs.setdefault("timeout", provider.settings.timeout)
        with provider.client(token) as client:
            return client.request(method, provider.settings.resolve(url), **kwargs)

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        """Send a GET; see :meth:`request`."""
        return self.request("GET", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> requests.Response:
        """Send a HEAD; see :meth:`request`."""
        return self.request("HEAD", url, **{"allow_redirects": False, **kwargs})

    def options(self, url: str, **kwargs: Any) -> requests.Response:
        """Send an OPTIONS; see :meth:`request`."""
        return self.request("OPTIONS", url, **kwargs)

    def post(
        self, url: str, data: Any = None, json: Any = None, **kwargs: Any
    ) -> requests.Response:
        """Send a POST; see :meth:`request`."""
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: str, data: Any = None, **kwargs: Any) -> requests.Response:
        """Send a PUT; see :meth:`request`."""
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: str, data: Any = None, **kwargs: Any) -> requests.Response:
        """Send a PATCH; see :meth:`request`."""
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> requests.Response:
        """Send a DELETE; see :meth:`request`."""
        return self.request("DELETE", url, **kwargs)

    # -- the token -----------------------------------------------------------------------------

    def _valid_token(self) -> Token:
        token = self.token
        name = self._blueprint.name
        if not token:
            raise NotLoggedInError(name, f"this user has not logged in with {name!r}")
        if not self._blueprint.provider.expired(token, self._leeway):
            return token
        if token.get("refresh_token"):
            return self._refreshed(token)
        if self._blueprint.provider.expired(token, 0):
            raise LoginExpiredError(name, f"the token from {name!r} has expired")
        return token

    def _refreshed(self, token: Token) -> Token:
        try:
            fetch = partial(self._fetch, held=token)
            refreshed = dict(self._refresher.refresh(token, fetch, self._expired))
        except LoginError as error:
            return self._after_rejection(token, error)
        if self.token == token:
            self._save(refreshed)
        return refreshed

    def _fetch(self, token: Mapping[str, Any], *, held: Mapping[str, Any]) -> Token:
        # Another process may have refreshed and stored the token already. The token that this
        # request came with is never newer: its cookie may be several refreshes old.
        stored = self._newer_than(token, held)
        if stored is not None and not self._expired(stored):
            return stored
        token = stored or token
        provider = self._blueprint.provider
        try:
            return provider.refresh(token)
        except Exception as error:  # noqa: BLE001 - Authlib raises too many types to name
            secrets = [*token_secrets(token), *provider.settings.secrets]
            failure = failure_from(error, secrets)
            raised = LoginError(str(failure.error), failure.description, failure.uri)
            raise raised from redact(error, secrets)

    def _after_rejection(self, token: Token, error: LoginError) -> Token:
        if error.code != "invalid_grant":
            raise error
        stored = self._newer_than(token)
        if stored is not None and not self._expired(stored):
            return stored
        name = self._blueprint.name
        if UNSAVED_TOKENS.get().get(self._blueprint) is None:
            del self._blueprint.token
        message = f"{name!r} does not refresh the token any more; the user must log in again"
        raise LoginExpiredError(name, message) from error

    def _newer_than(self, *known: Mapping[str, Any]) -> Token | None:
        stored = self.token
        if not stored or any(stored.get("access_token") == k.get("access_token") for k in known):
            return None
        return stored

    def _expired(self, token: Mapping[str, Any]) -> bool:
        return self._blueprint.provider.expired(token, 0)

    def _save(self, refreshed: Token) -> None:
        unsaved = UNSAVED_TOKENS.get().get(self._blueprint)
        if unsaved is None:
            self._blueprint.token = refreshed
        else:
            # Receivers have this dict, and the blueprint stores it after them.
            unsaved.clear()
            unsaved.update(refreshed)


@dataclass(eq=False)
class _Refresh:
    changing: ForkSafeLock = field(default_factory=ForkSafeLock)
    users: int = 0
    token: Mapping[str, Any] | None = field(default=None, repr=False)
    until: float = 0.0


class TokenRefresher:
    """Refreshes each token once, even if many requests find it expired at the same time.

    A provider that rotates refresh tokens treats a second use of one as theft and ends the login.
    The tokens are found by the refresh token that they replace. Only its owner has that refresh
    token, so no user can get the token of another one.
    """

    def __init__(self) -> None:
        self._refreshes: dict[bytes, _Refresh] = {}
        self._changing = ForkSafeLock()

    def refresh(
        self,
        token: Mapping[str, Any],
        fetch: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        expired: Callable[[Mapping[str, Any]], bool],
    ) -> Token:
        """Return the token that replaces ``token``: one that was fetched just now, or a new one.

        Args:
            token: The expired token; it has a ``refresh_token``.
            fetch: Calls the provider. Requests with this refresh token wait for it.
            expired: Returns whether a token has expired.
        """
        key = sha256(str(token["refresh_token"]).encode()).digest()
        with self._entry(key) as entry, entry.changing.lock:
            known = entry.token
            if known is not None and _rotated(known, token):
                if expired(known):
                    # Its refresh token is the valid one now, and has its own lock.
                    known = self.refresh(known, fetch, expired)
            elif known is None or _same(known, token) or expired(known):
                # A provider that does not rotate accepts one refresh token many times.
                known = fetch(token)
            entry.token = known
            entry.until = time.monotonic() + KEEP_SECONDS
            return dict(known)

    @contextmanager
    def _entry(self, key: bytes) -> Generator[_Refresh]:
        entry: _Refresh | None = None
        try:
            with self._changing.lock:
                self._forget_old()
                entry = self._refreshes.setdefault(key, _Refresh())
                entry.users += 1
            yield entry
        finally:
            if entry is not None:
                with self._changing.lock:
                    entry.users -= 1

    def _forget_old(self) -> None:
        now = time.monotonic()
        for key, entry in list(self._refreshes.items()):
            if not entry.users and entry.until <= now:
                del self._refreshes[key]


def _rotated(known: Mapping[str, Any], token: Mapping[str, Any]) -> bool:
    # Tokens without a refresh token must not share one lock.
    return known.get("refresh_token") not in (None, "", token["refresh_token"])


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.get("access_token") == other.get("access_token")
