"""Logins for Quart: async views, and an async client for calls to the provider.

::

    from aldis.oauth.quart import OAuthBlueprint

    github = OAuthBlueprint.from_preset("github")
    app.register_blueprint(github)

    @app.get("/")
    @github.authorization_required
    async def hello():
        user = await github.session.get("user")
        return f"Hello {user.json()['login']}"

The steps of a login are those of :class:`aldis.oauth.OAuthBlueprint`. The signals of
:mod:`aldis.oauth.signals` are sent with ``asend``, so their receivers may be async.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, ParamSpec, TypeVar

from werkzeug.sansio.response import Response as AnyResponse

from aldis._optional import needs
from aldis.errors import LoginExpiredError, NotLoggedInError, OAuthSetupError
from aldis.oauth._blueprint import BaseOAuthBlueprint, blueprint_of
from aldis.oauth._client import BaseOAuthSession
from aldis.oauth._drive import MakeLock, resolved
from aldis.oauth._protocol import Provider, Settings, Token
from aldis.oauth._storage import SessionStorage as FlaskSessionStorage
from aldis.oauth._web import Web

with needs("aldis.oauth.quart", "oauth-quart", quart="Quart", httpx2="httpx2"):
    import httpx2
    import quart
    from quart import Blueprint, Quart, Response, current_app, request, session
    from quart.sessions import SecureCookieSessionInterface

    from aldis.oauth._async_oauth2 import AsyncOAuth2Provider

__all__ = ["OAuthBlueprint", "OAuthSession", "SessionStorage"]

P = ParamSpec("P")
T = TypeVar("T")


class _QuartWeb:
    """Quart's functions and context-local objects."""

    request: Any = request
    session: Any = session
    current_app: Any = current_app
    redirect: Callable[..., Any] = staticmethod(quart.redirect)
    url_for: Callable[..., str] = staticmethod(quart.url_for)
    jsonify: Callable[..., Any] = staticmethod(quart.jsonify)
    response_class: type[Any] = Response

    def after_this_request(self, function: Callable[[Any], Any]) -> Any:
        # Quart would call a sync function in a thread.
        async def call(response: Any) -> Any:
            return function(response)

        return quart.after_this_request(call)

    async def form(self) -> Mapping[str, str]:
        form = await request.form
        return dict(form.to_dict())

    async def send(self, signal: Any, sender: Any, payload: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = await signal.asend(sender, **payload)
        return found

    def is_response(self, value: object) -> bool:
        return isinstance(value, AnyResponse)


QUART: Final[Web] = _QuartWeb()


class SessionStorage(FlaskSessionStorage):
    """Stores tokens in Quart's session. By default, a session is a cookie of about 4,000 bytes.

    Args:
        key: The key in the session; ``{bp.name}`` is replaced by the name of the blueprint.
    """

    @property
    def _session(self) -> Any:
        return session

    @property
    def _app(self) -> Any:
        return current_app

    @property
    def _interface(self) -> type[Any]:
        return SecureCookieSessionInterface


class OAuthSession(BaseOAuthSession):
    """Calls the provider for the current user of a Quart app. It stores nothing about a user.

    Each call reads the token from the storage, refreshes it if it has expired, and uses its own
    HTTP client. No request sees the work of another one. The calls share open connections.
    """

    _make_lock: MakeLock = staticmethod(asyncio.Lock)

    async def token(self) -> Token | None:
        """Return the current user's token, or ``None``."""
        return await self._token()

    async def access_token(self) -> str | None:
        """Return the current user's access token as it is stored, or ``None``."""
        return await self._access_token()

    async def is_authorized(self) -> bool:
        """Return whether calls to the provider are possible for the current user.

        A token that has expired and has no refresh token does not count.
        """
        return await self._is_authorized()

    async def request(self, method: str, url: str, **kwargs: Any) -> httpx2.Response:
        """Call the provider.

        Args:
            method: The HTTP method.
            url: The URL; it may be relative to the blueprint's ``base_url``.
            **kwargs: As for ``httpx2.AsyncClient.request``. The default of ``timeout`` is the
                blueprint's. A number is for the whole call. Redirects are followed, unless
                ``follow_redirects`` is ``False``.

        Raises:
            NotLoggedInError: The user has no token.
            LoginExpiredError: The token expired, and the provider does not refresh it. The token
                was deleted, so that the user can log in again.
            LoginError: The token expired, and this attempt to refresh it failed.
            httpx2.HTTPError: The provider could not be reached, or its response is too large.
        """
        response: httpx2.Response = await self._request(method, url, **kwargs)
        return response

    @asynccontextmanager
    async def stream(self, method: str, url: str, **kwargs: Any) -> AsyncGenerator[httpx2.Response]:
        """Call the provider, and read the response piece by piece. It may have any size.

        Args:
            method: The HTTP method.
            url: The URL; it may be relative to the blueprint's ``base_url``.
            **kwargs: As for ``httpx2.AsyncClient.stream``. ``timeout`` is for each read alone.

        Raises:
            NotLoggedInError: The user has no token.
            LoginError: As for :meth:`request`.
            httpx2.HTTPError: The provider could not be reached.
        """
        provider = self._blueprint.provider
        token = await self._valid_token()
        options = {"timeout": provider.settings.timeout, "follow_redirects": True, **kwargs}
        target = provider.settings.resolve(url, token)
        async with (
            provider.client(token) as client,
            client.stream(method, target, **options) as response,
        ):
            yield response

    async def get(self, url: str, **kwargs: Any) -> httpx2.Response:
        """Send a GET; see :meth:`request`."""
        return await self.request("GET", url, **kwargs)

    async def head(self, url: str, **kwargs: Any) -> httpx2.Response:
        """Send a HEAD; see :meth:`request`."""
        return await self.request("HEAD", url, **{"follow_redirects": False, **kwargs})

    async def options(self, url: str, **kwargs: Any) -> httpx2.Response:
        """Send an OPTIONS; see :meth:`request`."""
        return await self.request("OPTIONS", url, **kwargs)

    async def post(
        self, url: str, data: Any = None, json: Any = None, **kwargs: Any
    ) -> httpx2.Response:
        """Send a POST; see :meth:`request`."""
        return await self.request("POST", url, data=data, json=json, **kwargs)

    async def put(self, url: str, data: Any = None, **kwargs: Any) -> httpx2.Response:
        """Send a PUT; see :meth:`request`."""
        return await self.request("PUT", url, data=data, **kwargs)

    async def patch(self, url: str, data: Any = None, **kwargs: Any) -> httpx2.Response:
        """Send a PATCH; see :meth:`request`."""
        return await self.request("PATCH", url, data=data, **kwargs)

    async def delete(self, url: str, **kwargs: Any) -> httpx2.Response:
        """Send a DELETE; see :meth:`request`."""
        return await self.request("DELETE", url, **kwargs)

    async def userinfo(self) -> dict[str, Any]:
        """Fetch the claims of the current user from the provider's userinfo endpoint.

        Raises:
            LoginError: The response is not an object, or is about another user.
            OAuthSetupError: The URL of the endpoint is not known: give ``userinfo_url`` to the
                blueprint.
            NotLoggedInError: The user has no token, or it has expired.
            httpx2.HTTPError: The provider could not be reached, or it refused the token.
        """
        return await self._userinfo()

    async def _refreshed(self, token: Token) -> Token:
        # If the browser disconnects, Quart cancels the request. The provider may have replaced the
        # refresh token by then, so the new one must be stored first.
        return await _finished(super()._refreshed(token))


class OAuthBlueprint(BaseOAuthBlueprint, Blueprint):
    """Lets the users of a Quart app log in with OAuth 2 or OpenID Connect.

    :class:`aldis.oauth.BaseOAuthBlueprint` explains the arguments. :attr:`session` calls the
    provider for the current user. ``client_options`` are those of Authlib's ``AsyncOAuth2Client``.
    OAuth 1.0a needs Flask.

    Raises:
        OAuthSetupError: The settings are incomplete, or are for OAuth 1.0a or for Flask.
    """

    web = QUART
    _app_class = Quart
    session: OAuthSession

    async def token(self) -> Token | None:
        """Return the current user's token in the storage, or ``None``."""
        return await self.load_token()

    async def set_token(self, token: Mapping[str, Any]) -> None:
        """Store ``token`` for the current user, in place of their last one."""
        await self.save_token(token)

    async def delete_token(self) -> None:
        """Delete the current user's token."""
        await self.save_token(None)

    def authorization_required(
        self, view: Callable[P, Any]
    ) -> Callable[P, Coroutine[Any, Any, Any]]:
        """Decorate a view that needs a token. Users without one log in first and then come back.

        Args:
            view: The view.
        """

        @wraps(view)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            if not await self.session.is_authorized():
                return self.lead_to_login()
            try:
                return await current_app.ensure_async(view)(*args, **kwargs)
            except LoginExpiredError as error:
                if error.provider != self.name:
                    raise
                return self.lead_to_login()

        return guarded

    def lead_to_login(self) -> Response:
        """Return the response for a user who must log in to see the current page.

        It is a redirect, or 401 with JSON for a script: a request of ``fetch``, or one that accepts
        JSON rather than HTML.

        Call it in an error handler, for example for :class:`~aldis.errors.LoginExpiredError`.
        """
        response: Response = self._login_response()
        return response

    async def start_login(self, next_url: str | None = None, **params: Any) -> Response:
        """Return the response that sends the user to the provider.

        A view can call it with parameters for this login:
        ``return await bp.start_login(login_hint="ada@example.org", prompt="login")``.

        Args:
            next_url: The page of this site that the user gets to afterwards.
            **params: Parameters to add to the provider's URL.

        Raises:
            OAuthSetupError: The parameters contain one that belongs to aldis, such as ``state``.
        """
        response: Response = await self._start_login(next_url, params)
        return response

    async def logout(self, redirect_uri: str | None = None) -> Response:
        """Delete the user's token, and return the response that ends the provider's session, too.

        Log the user out of the app as well, after it. If the provider has no page for a logout, the
        response is a redirect to ``redirect_uri``, or to the home page.

        Args:
            redirect_uri: The absolute URL to which the provider sends the user back. The provider
                must know it.
        """
        response: Response = await self._log_out(redirect_uri)
        return response

    async def revoke_token(self) -> None:
        """Revoke the user's token at the provider, and delete it. Without a token, do nothing.

        The token is deleted even if the provider fails.

        Raises:
            LoginError: The provider refused.
            OAuthSetupError: The URL of the endpoint is not known: give ``revocation_url`` to the
                blueprint.
            httpx2.HTTPError: The provider could not be reached.
        """
        await self._revoke()

    # -- the views -----------------------------------------------------------------------------

    async def _login_view(self) -> Response:
        return await self.start_login(request.args.get("next"))

    async def _authorized_view(self) -> Response:
        response: Response = await self._finish_login()
        return response

    async def _failed_view(self) -> Response:
        response: Response = self._after_failure()
        return response

    @staticmethod
    async def _lead_to_login_again(error: NotLoggedInError) -> Any:
        return blueprint_of(current_app, error).lead_to_login()

    # -- the framework -------------------------------------------------------------------------

    def place(self) -> asyncio.AbstractEventLoop:
        """Return the event loop: connections and locks belong to one."""
        return asyncio.get_running_loop()

    def _check_storage(self, storage: Any) -> None:
        name = type(storage).__name__
        if isinstance(storage, FlaskSessionStorage) and not isinstance(storage, SessionStorage):
            hint = "it keeps tokens in Flask's session: use aldis.oauth.quart.SessionStorage"
        elif hasattr(storage, "refresh_lock") and not iscoroutinefunction(storage.get):
            hint = (
                "it would block the event loop: use an async one, such as "
                "aldis.oauth.sqla.AsyncSQLAlchemyStorage"
            )
        else:
            return
        message = f"the storage {name} of {self.name!r} cannot be used with Quart: {hint}"
        raise OAuthSetupError(message)

    def _default_storage(self) -> SessionStorage:
        return SessionStorage()

    def _make_session(self, leeway: float) -> OAuthSession:
        return OAuthSession(self, leeway)

    def _implementation(self, settings: Settings) -> Provider:
        return AsyncOAuth2Provider(settings)

    def _check_settings(self, settings: Settings) -> None:
        if settings.request_token_url:
            message = (
                f"the provider {self.name!r} uses OAuth 1.0a, which aldis supports on Flask only: "
                "use aldis.oauth.OAuthBlueprint in a Flask app, or Authlib's AsyncOAuth1Client"
            )
            raise OAuthSetupError(message)

    def register(self, app: Any, options: dict[str, Any]) -> None:
        """Register the blueprint.

        Raises:
            OAuthSetupError: The app is of another framework.
        """
        super().register(app, options)

        async def close() -> None:
            for provider in self._forget_providers(app):
                if isinstance(provider, AsyncOAuth2Provider):
                    await provider.close()

        app.after_serving(close)

    async def find_user_id(self) -> object:
        """Return the id of the app's current user, or ``None``."""
        return await resolved(self.user_id()) if self.user_id else None


async def _finished(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of ``work``. A cancellation waits for its end."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            # Otherwise, asyncio would log that it was never retrieved.
            task.exception()
        raise
