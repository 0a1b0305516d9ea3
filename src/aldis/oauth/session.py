"""``bp.session``: an HTTP client that carries the token of the user whose request this is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import requests

from aldis.errors import LoginError, LoginExpiredError, NotLoggedInError
from aldis.oauth.failures import describe, harmless, secrets_in
from aldis.oauth.refresh import Renewals

if TYPE_CHECKING:
    from aldis.oauth.blueprint import OAuthBlueprint

__all__ = ["IN_HAND", "OAuthSession"]

Token = dict[str, Any]

#: The tokens that have been handed out and not been stored yet, by blueprint: what receivers of
#: ``oauth_authorized`` call the provider with. A context variable, because `g` outlives a request
#: wherever an application context is open around it.
IN_HAND: Final[ContextVar[Mapping[Any, Token]]] = ContextVar(
    "aldis_oauth_in_hand", default=MappingProxyType({})
)


class OAuthSession:
    """Calls the provider for the current user. Nothing of a user is kept in it.

    Each call reads the token from the storage, renews it when it has expired, and uses an HTTP
    client of its own: what one request does is never seen by another.

    Args:
        blueprint: Whose provider is called.
        leeway: Seconds before its end at which a token is renewed.
    """

    def __init__(self, blueprint: OAuthBlueprint, leeway: float) -> None:
        self._blueprint = blueprint
        self._leeway = leeway
        self._renewals = Renewals()

    @property
    def token(self) -> Token | None:
        """The current user's token, or ``None``."""
        in_hand = IN_HAND.get().get(self._blueprint)
        return in_hand if in_hand is not None else self._blueprint.token

    @property
    def access_token(self) -> str | None:
        """The current user's access token, as it is stored, or ``None``."""
        token = self.token or {}
        return token.get("access_token") or token.get("oauth_token")

    @property
    def authorized(self) -> bool:
        """Whether the provider can be called for the current user.

        A token that has expired and cannot be renewed does not count.
        """
        try:
            token = self.token
        except ValueError:
            # How Flask-Dance's storage says that nobody is logged in.
            return False
        return bool(token) and self._blueprint.provider.authorizes(token or {})

    @property
    def authorization_required(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """The blueprint's decorator of that name, where Flask-Dance has it."""
        return self._blueprint.authorization_required

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """Call the provider.

        Args:
            method: The HTTP method.
            url: Where; relative to the blueprint's ``base_url``.
            **kwargs: As for :func:`requests.request`. By default it takes no longer than the
                blueprint's ``timeout``.

        Raises:
            NotLoggedInError: The user has no token.
            LoginExpiredError: The token has expired and the provider does not renew it. It has been
                deleted, so that the user can log in again.
            LoginError: The token has expired and could not be renewed now.
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
            raise NotLoggedInError(name, f"nobody has logged in with {name!r} here")
        if not self._blueprint.provider.expired(token, self._leeway):
            return token
        if token.get("refresh_token"):
            return self._renewed(token)
        if self._blueprint.provider.expired(token, 0):
            raise LoginExpiredError(name, f"the token from {name!r} has expired")
        return token

    def _renewed(self, token: Token) -> Token:
        try:
            ask = partial(self._ask, held=token)
            renewed = dict(self._renewals.renew(token, ask, self._expired))
        except LoginError as error:
            return self._after_refusal(token, error)
        if self.token == token:
            self._keep(renewed)
        return renewed

    def _ask(self, token: Mapping[str, Any], *, held: Mapping[str, Any]) -> Token:
        # Another process may have been quicker, and stored its token where this one can see it.
        # What this request came with is not newer: it may be a cookie that is renewals behind.
        stored = self._newer_than(token, held)
        if stored is not None and not self._expired(stored):
            return stored
        token = stored or token
        provider = self._blueprint.provider
        try:
            return provider.refresh(token)
        except Exception as error:  # noqa: BLE001 - Authlib raises too many types to name
            secrets = [*secrets_in(token), *provider.settings.secrets]
            failure = describe(error, secrets)
            raised = LoginError(str(failure.error), failure.description, failure.uri)
            raise raised from harmless(error, secrets)

    def _after_refusal(self, token: Token, error: LoginError) -> Token:
        if error.code != "invalid_grant":
            raise error
        stored = self._newer_than(token)
        if stored is not None and not self._expired(stored):
            return stored
        name = self._blueprint.name
        if IN_HAND.get().get(self._blueprint) is None:
            del self._blueprint.token
        message = f"{name!r} does not renew the token any more; the user has to log in again"
        raise LoginExpiredError(name, message) from error

    def _newer_than(self, *known: Mapping[str, Any]) -> Token | None:
        stored = self.token
        if not stored or any(stored.get("access_token") == k.get("access_token") for k in known):
            return None
        return stored

    def _expired(self, token: Mapping[str, Any]) -> bool:
        return self._blueprint.provider.expired(token, 0)

    def _keep(self, renewed: Token) -> None:
        in_hand = IN_HAND.get().get(self._blueprint)
        if in_hand is None:
            self._blueprint.token = renewed
        else:
            # The dict that receivers were given, and that is stored after them.
            in_hand.clear()
            in_hand.update(renewed)
