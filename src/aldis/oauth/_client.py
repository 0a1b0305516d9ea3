"""``bp.session``: an HTTP client that authenticates with the token of the current user.

The steps of a call are the coroutines of :class:`BaseOAuthSession`. Flask and Quart share them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

import requests

from aldis.core.process import ForkSafeLock
from aldis.errors import LoginError, LoginExpiredError, NotLoggedInError
from aldis.oauth._drive import MakeLock, drive, entered, resolved
from aldis.oauth._failures import failure_from, log_text, redact, token_secrets
from aldis.oauth._protocol import Provider, Token
from aldis.oauth._refresh import RejectedError, TokenRefresher

__all__ = ["UNSAVED_TOKENS", "BaseOAuthSession", "OAuthSession"]

_log = logging.getLogger("aldis.oauth")

#: The tokens that providers issued and the storage does not have yet, by blueprint. Receivers of
#: ``oauth_authorized`` call the provider with them. It is a context variable, because ``g`` can
#: outlive a request if an application context is open around it.
UNSAVED_TOKENS: Final[ContextVar[Mapping[Any, Token]]] = ContextVar(
    "aldis_oauth_unsaved_tokens", default=MappingProxyType({})
)

#: The methods whose calls may use an open connection again. If the provider has just closed it,
#: the call is repeated, and other methods must not be repeated.
REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class _Blueprint(Protocol):
    """The part of a blueprint that its session uses."""

    name: str
    storage: Any

    @property
    def provider(self) -> Provider: ...

    def place(self) -> Any: ...

    async def load_token(self) -> Token | None: ...

    async def save_token(self, token: Mapping[str, Any] | None) -> None: ...

    def authorization_required(self, view: Callable[..., Any]) -> Callable[..., Any]: ...


class BaseOAuthSession:
    """The steps of a call to the provider. It stores nothing about a user.

    Each call reads the token from the storage, refreshes it if it has expired, and uses its own
    HTTP client. No request sees the work of another one. The calls share open connections.

    Args:
        blueprint: The blueprint of the provider.
        leeway: A token is refreshed if it expires within so many seconds, and at most in the second
            half of its lifetime.
    """

    _make_lock: MakeLock = staticmethod(ForkSafeLock)

    def __init__(self, blueprint: _Blueprint, leeway: float) -> None:
        self._blueprint: _Blueprint = blueprint
        self._leeway: float = leeway
        self._refreshers: dict[Any, TokenRefresher] = {}

    async def _token(self) -> Token | None:
        unsaved = UNSAVED_TOKENS.get().get(self._blueprint)
        return unsaved if unsaved is not None else await self._blueprint.load_token()

    async def _access_token(self) -> str | None:
        token = await self._token() or {}
        return token.get("access_token") or token.get("oauth_token")

    async def _is_authorized(self) -> bool:
        try:
            token = await self._token()
        except ValueError:
            # Flask-Dance's storage raises it if no user is logged in.
            return False
        return bool(token) and self._blueprint.provider.authorizes(token or {})

    async def _request(self, method: str, url: str, **kwargs: Any) -> Any:
        provider = self._blueprint.provider
        token = await self._valid_token()
        kwargs.setdefault("timeout", provider.settings.timeout)
        repeatable = method.upper() in REPEATABLE
        async with provider.client(token, pooled=repeatable) as client:
            send = partial(client.request, method, provider.settings.resolve(url, token), **kwargs)
            try:
                return await resolved(send())
            except provider.transport_errors as error:
                if not (repeatable and client.was_dropped(error)):
                    raise
            # The provider closed the open connection while the request was sent.
            return await resolved(send())

    async def _userinfo(self) -> dict[str, Any]:
        return await self._blueprint.provider.userinfo(await self._valid_token())

    # -- the token -----------------------------------------------------------------------------

    async def _valid_token(self) -> Token:
        token = await self._token()
        name = self._blueprint.name
        if not token:
            raise NotLoggedInError(name, f"this user has not logged in with {name!r}")
        if not self._blueprint.provider.expired(token, _capped(self._leeway, token)):
            return token
        if token.get("refresh_token"):
            return await self._refreshed(token)
        if self._expired(token):
            raise LoginExpiredError(name, f"the token from {name!r} has expired")
        return token

    async def _refreshed(self, token: Token) -> Token:
        # A storage without a lock, such as the session, stores the token of each request alone.
        alone = self._locking_storage() is None
        try:
            fetch = partial(self._fetch, held=token)
            refreshed = await self._refresher().run(token, fetch, self._expired)
        # Requests that wait for one call get one exception, so each request raises its own.
        except LoginExpiredError as error:
            if alone and not self._is_unsaved():
                await self._blueprint.save_token(None)
            raise LoginExpiredError(error.provider, str(error)) from error
        except LoginError as error:
            raise LoginError(error.code, error.description, error.uri) from error
        if alone and await self._token() == token:
            await self._save(refreshed)
        return refreshed

    async def _fetch(self, token: Mapping[str, Any], *, held: Mapping[str, Any]) -> Token:
        storage = self._locking_storage()
        if storage is not None:
            return await self._fetch_locked(storage, token)
        # Another process may have refreshed and stored the token already. The token that this
        # request came with is never newer: its cookie may be several refreshes old.
        stored = await self._newer_than(token, held)
        if stored is not None and not self._expired(stored):
            return stored
        token = stored or token
        try:
            return await self._call_provider(token)
        except LoginExpiredError:
            stored = await self._newer_than(token)
            if stored is not None and not self._expired(stored):
                return stored
            raise

    async def _fetch_locked(self, storage: Any, token: Mapping[str, Any]) -> Token:
        """Refresh the stored token while no other process does."""
        name = self._blueprint.name
        began = time.monotonic()
        async with entered(storage.refresh_lock(self._blueprint)) as found:
            waited = time.monotonic() - began
            if not found:
                raise NotLoggedInError(name, f"this user has just logged out from {name!r}")
            stored = dict(found)
            if stored.get("access_token") != token.get("access_token"):
                if not self._expired(stored):
                    return stored
            elif waited > self._blueprint.provider.settings.timeout / 2:
                # The holder of the lock waited for the provider, and left the token as it was.
                text = "another request has just waited for the provider without success"
                raise LoginError("provider_unreachable", text)
            try:
                refreshed = await self._call_provider(stored)
            except LoginExpiredError:
                await self._blueprint.save_token(None)
                raise
            # Storing it ends the transaction, and with it the lock.
            await self._save(refreshed)
            return refreshed

    async def _call_provider(self, token: Mapping[str, Any]) -> Token:
        provider, name = self._blueprint.provider, self._blueprint.name
        if not token.get("refresh_token"):
            raise LoginExpiredError(name, f"the token from {name!r} has expired")
        try:
            return await provider.refresh(token)
        except Exception as error:  # noqa: BLE001 - Authlib raises too many types to name
            secrets = [*token_secrets(token), *provider.settings.secrets]
            failure = failure_from(error, secrets)
            raised: Exception = LoginError(str(failure.error), failure.description, failure.uri)
            if isinstance(error, RejectedError):
                message = (
                    f"{name!r} does not refresh the token any more ({failure.error}); the user "
                    "must log in again"
                )
                raised = LoginExpiredError(name, message)
            _log.warning(
                "a login with %s failed at the step 'refresh of the token': %s (%s)",
                name,
                log_text(failure.error),
                log_text(failure.description or "no reason"),
            )
            raise raised from redact(error, secrets)

    def _refresher(self) -> TokenRefresher:
        place = self._blueprint.place()
        return self._refreshers.setdefault(place, TokenRefresher(self._make_lock))

    def _locking_storage(self) -> Any:
        storage = self._blueprint.storage
        locks = callable(getattr(storage, "refresh_lock", None)) and not self._is_unsaved()
        return storage if locks else None

    def _is_unsaved(self) -> bool:
        return UNSAVED_TOKENS.get().get(self._blueprint) is not None

    async def _newer_than(self, *known: Mapping[str, Any]) -> Token | None:
        stored = await self._token()
        if not stored or any(stored.get("access_token") == k.get("access_token") for k in known):
            return None
        return stored

    def _expired(self, token: Mapping[str, Any]) -> bool:
        return self._blueprint.provider.expired(token, 0)

    async def _save(self, refreshed: Token) -> None:
        unsaved = UNSAVED_TOKENS.get().get(self._blueprint)
        if unsaved is None:
            await self._blueprint.save_token(refreshed)
        else:
            # Receivers have this dict, and the blueprint stores it after them.
            unsaved.clear()
            unsaved.update(refreshed)


class OAuthSession(BaseOAuthSession):
    """Calls the provider for the current user of a Flask app. It stores nothing about a user.

    Each call reads the token from the storage, refreshes it if it has expired, and uses its own
    HTTP client. No request sees the work of another one. The calls share open connections.
    """

    @property
    def token(self) -> Token | None:
        """The current user's token, or ``None``."""
        return drive(self._token())

    @property
    def access_token(self) -> str | None:
        """The current user's access token as it is stored, or ``None``."""
        return drive(self._access_token())

    @property
    def authorized(self) -> bool:
        """Whether calls to the provider are possible for the current user.

        A token that has expired and has no refresh token does not count.
        """
        return drive(self._is_authorized())

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
                blueprint's. It is for the whole call. With ``stream=True``, it ends with the
                response's headers, and the response may have any size.

        Raises:
            NotLoggedInError: The user has no token.
            LoginExpiredError: The token expired, and the provider does not refresh it. The token
                was deleted, so that the user can log in again.
            LoginError: The token expired, and this attempt to refresh it failed.
            requests.RequestException: The provider could not be reached, or its response is too
                large.
        """
        response: requests.Response = drive(self._request(method, url, **kwargs))
        return response

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

    def userinfo(self) -> dict[str, Any]:
        """Fetch the claims of the current user from the provider's userinfo endpoint.

        Raises:
            LoginError: The response is not an object, or is about another user.
            OAuthSetupError: The URL of the endpoint is not known: give ``userinfo_url`` to the
                blueprint.
            NotLoggedInError: The user has no token, or it has expired.
            requests.RequestException: The provider could not be reached, or it refused the token.
        """
        return drive(self._userinfo())


def _capped(leeway: float, token: Mapping[str, Any]) -> float:
    """Return a leeway that is at most half of the lifetime of ``token``.

    Otherwise, a token with a short lifetime would be refreshed at each call.
    """
    try:
        lifetime = float(token.get("expires_in") or "inf")
    except (TypeError, ValueError):
        return leeway
    return min(leeway, lifetime / 2)
