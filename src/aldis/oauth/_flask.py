"""The blueprint for Flask: sync views and calls around the shared steps of a login."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, ParamSpec

from flask import (
    Blueprint,
    Flask,
    Response,
    after_this_request,
    current_app,
    jsonify,
    redirect,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from aldis.errors import LoginExpiredError, NotLoggedInError, OAuthSetupError
from aldis.oauth._blueprint import BaseOAuthBlueprint, blueprint_of
from aldis.oauth._client import OAuthSession
from aldis.oauth._drive import drive, resolved
from aldis.oauth._oauth1 import OAuth1Provider
from aldis.oauth._oauth2 import OAuth2Provider
from aldis.oauth._protocol import Provider, Settings, Token
from aldis.oauth._storage import SessionStorage
from aldis.oauth._web import Web

__all__ = ["FLASK", "OAuthBlueprint"]

P = ParamSpec("P")


class _FlaskWeb:
    """Flask's functions and context-local objects."""

    request: Any = request
    session: Any = session
    current_app: Any = current_app
    redirect: Callable[..., Any] = staticmethod(redirect)
    url_for: Callable[..., str] = staticmethod(url_for)
    jsonify: Callable[..., Any] = staticmethod(jsonify)
    response_class: type[Any] = Response

    def after_this_request(self, function: Callable[[Any], Any]) -> Any:
        return after_this_request(function)

    async def form(self) -> Mapping[str, str]:
        return request.form.to_dict()

    async def send(self, signal: Any, sender: Any, payload: Mapping[str, Any]) -> list[Any]:
        # Async receivers run as Flask runs async views.
        found: list[Any] = signal.send(sender, _async_wrapper=current_app.ensure_sync, **payload)
        return found

    def is_response(self, value: object) -> bool:
        return isinstance(value, (BaseResponse, current_app.response_class))


FLASK: Final[Web] = _FlaskWeb()


class OAuthBlueprint(BaseOAuthBlueprint, Blueprint):
    """Lets the users of a Flask app log in with OAuth 2, OpenID Connect or OAuth 1.0a.

    :class:`BaseOAuthBlueprint` explains the arguments. :attr:`session` calls the provider for the
    current user.
    """

    web = FLASK
    _app_class = Flask
    session: OAuthSession

    @property
    def token(self) -> Token | None:
        """The current user's token in the storage. You may assign to it and delete it."""
        return drive(self.load_token())

    @token.setter
    def token(self, token: Mapping[str, Any] | None) -> None:
        drive(self.save_token(token))

    @token.deleter
    def token(self) -> None:
        drive(self.save_token(None))

    def authorization_required(self, view: Callable[P, Any]) -> Callable[P, Any]:
        """Decorate a view that needs a token. Users without one log in first and then come back.

        Args:
            view: The view.
        """

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            if not self.session.authorized:
                return self.lead_to_login()
            try:
                return current_app.ensure_sync(view)(*args, **kwargs)
            except LoginExpiredError as error:
                if error.provider != self.name:
                    raise
                return self.lead_to_login()

        return guarded

    def lead_to_login(self) -> BaseResponse:
        """Return the response for a user who must log in to see the current page.

        It is a redirect, or 401 with JSON for a script: a request of ``fetch``, or one that accepts
        JSON rather than HTML.

        Call it in an error handler, for example for :class:`~aldis.errors.LoginExpiredError`.
        """
        response: BaseResponse = self._login_response()
        return response

    def logout(self, redirect_uri: str | None = None) -> BaseResponse:
        """Delete the user's token, and return the response that ends the provider's session, too.

        Call Flask-Login's ``logout_user()`` as well, after it. If the provider has no page for a
        logout, the response is a redirect to ``redirect_uri``, or to the home page.

        Args:
            redirect_uri: The absolute URL to which the provider sends the user back. The provider
                must know it.
        """
        response: BaseResponse = drive(self._log_out(redirect_uri))
        return response

    def revoke_token(self) -> None:
        """Revoke the user's token at the provider, and delete it. Without a token, do nothing.

        The token is deleted even if the provider fails.

        Raises:
            LoginError: The provider refused.
            OAuthSetupError: The URL of the endpoint is not known: give ``revocation_url`` to the
                blueprint.
            requests.RequestException: The provider could not be reached.
        """
        drive(self._revoke())

    def start_login(self, next_url: str | None = None, **params: Any) -> BaseResponse:
        """Return the response that sends the user to the provider.

        A view can call it with parameters for this login:
        ``return bp.start_login(login_hint="ada@example.org", prompt="login")``.

        Args:
            next_url: The page of this site that the user gets to afterwards.
            **params: Parameters to add to the provider's URL.

        Raises:
            OAuthSetupError: The parameters contain one that belongs to aldis, such as ``state``.
        """
        response: BaseResponse = drive(self._start_login(next_url, params))
        return response

    # -- the views -----------------------------------------------------------------------------

    def login(self) -> BaseResponse:
        """Send the user to the provider."""
        return self.start_login(request.args.get("next"))

    def authorized(self) -> BaseResponse:
        """Handle the provider's response: fetch the token and store it."""
        response: BaseResponse = drive(self._finish_login())
        return response

    def failed(self) -> BaseResponse:
        """Redirect the user after a failed login, if their browser sends cookies."""
        response: BaseResponse = self._after_failure()
        return response

    def _login_view(self) -> BaseResponse:
        return self.login()

    def _authorized_view(self) -> BaseResponse:
        return self.authorized()

    def _failed_view(self) -> BaseResponse:
        return self.failed()

    @staticmethod
    def _lead_to_login_again(error: NotLoggedInError) -> Any:
        return blueprint_of(current_app, error).lead_to_login()

    # -- the framework -------------------------------------------------------------------------

    def place(self) -> None:
        """Return ``None``: all threads share one provider."""

    def _check_storage(self, storage: Any) -> None:
        if iscoroutinefunction(getattr(storage, "get", None)):
            message = (
                f"the storage {type(storage).__name__} of {self.name!r} is async, and Flask needs "
                "a sync one: use SQLAlchemyStorage or SessionStorage, or Quart"
            )
            raise OAuthSetupError(message)

    def _default_storage(self) -> SessionStorage:
        return SessionStorage()

    def _make_session(self, leeway: float) -> OAuthSession:
        return OAuthSession(self, leeway)

    def _implementation(self, settings: Settings) -> Provider:
        return OAuth1Provider(settings) if settings.request_token_url else OAuth2Provider(settings)

    async def find_user_id(self) -> object:
        """Return the id of the app's current user, or ``None``."""
        return await resolved(self.user_id()) if self.user_id else _flask_login_user()


def _flask_login_user() -> object:
    """Return the id of Flask-Login's user, or ``None`` without a user or Flask-Login."""
    manager = getattr(current_app, "login_manager", None)
    if manager is None:
        return None
    try:
        from flask_login import current_user  # type: ignore[import-untyped]  # noqa: PLC0415 - Flask-Login is optional
    except ImportError:
        # The app has another object of this name.
        return None
    if not current_user.is_authenticated:
        return None
    # Flask-Login reads the id that it saves in the session in this way.
    return getattr(current_user, manager.id_attribute)()
