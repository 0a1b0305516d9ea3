"""The blueprint: the views of a login, and the interface for the application."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, Literal, ParamSpec, Self
from urllib.parse import urlencode

import requests
from flask import Blueprint, Flask, current_app, jsonify, redirect, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as BaseResponse

from aldis._compat import set_variable
from aldis.errors import LoginError, LoginExpiredError, NotLoggedInError, OAuthSetupError
from aldis.oauth import _login_state
from aldis.oauth._client import UNSAVED_TOKENS, OAuthSession
from aldis.oauth._failures import (
    Failure,
    failure_from,
    log_text,
    redact,
    token_secrets,
    unknown_state,
)
from aldis.oauth._http import MAX_RESPONSE_SIZE
from aldis.oauth._login_cookies import LoginCookies
from aldis.oauth._login_state import UNUSABLE, PendingLogin, collect_rollbacks
from aldis.oauth._oauth1 import OAuth1Provider
from aldis.oauth._oauth2 import OAuth2Provider
from aldis.oauth._protocol import AuthorizationRequest, Provider, Settings, Token, scopes
from aldis.oauth._responses import (
    async_support,
    current_path,
    failure_page,
    first_response,
    no_store,
    safe_next,
)
from aldis.oauth._storage import SessionStorage, TokenStorage
from aldis.oauth.providers import Preset, find_preset
from aldis.oauth.providers._preset import arguments_of
from aldis.oauth.signals import oauth_authorized, oauth_before_login, oauth_error

__all__ = ["OAuthBlueprint"]

P = ParamSpec("P")

_log = logging.getLogger("aldis.oauth")

#: The key in ``app.extensions`` for the registrations of all blueprints.
EXTENSION: Final = "aldis.oauth"


@dataclass(slots=True)
class _Registration:
    endpoint: str
    provider: Provider | None = None
    replacement: Provider | None = None


class OAuthBlueprint(Blueprint):
    """Lets users log in with a provider of OAuth 2, OpenID Connect or OAuth 1.0a.

    ``/login/<name>`` sends users to the provider, and the provider sends them back to
    ``/login/<name>/authorized``. The blueprint sends the three signals of
    :mod:`aldis.oauth.signals`, with itself as the sender.

    Args:
        name: The name of the provider in this application.
        import_name: As for :class:`flask.Blueprint`.
        client_id: The id of this application at the provider. The default is
            ``<NAME>_OAUTH_CLIENT_ID`` in the app's configuration.
        client_secret: The secret of this application at the provider. The default is
            ``<NAME>_OAUTH_CLIENT_SECRET`` in the app's configuration. A public client has none. A
            function returns the secret for each call.
        secret_maker: A function that makes the secret for each call from the client id and the
            client secret. Apple's is a JWT that a private key signs.
        server_metadata_url: The URL of the metadata of an OpenID Connect provider. With it, the
            endpoints are not needed.
        authorization_url: The page of the provider to which users are sent.
        token_url: The token endpoint of OAuth 2, or the access token URL of OAuth 1.
        request_token_url: The request token URL of OAuth 1.0a. It selects that protocol.
        base_url: The base of the relative URLs that :attr:`session` accepts. It may be a function
            that returns it for the user's token.
        scope: The requested scopes, as a list or separated by spaces. With ``openid``, an id_token
            is required and checked; receivers find its claims in ``token["userinfo"]``.
        scope_separator: The text between the scopes in the provider's URL.
        issuer: The issuer of the id_tokens. The default is the issuer in the provider's metadata.
            It may be a list of issuers, or a function that returns the expected issuer for the
            claims of an id_token.
        jwks_uri: The URL of the issuer's keys, without a ``server_metadata_url``.
        userinfo_url: The URL of the user's claims, without a ``server_metadata_url``.
        userinfo_subject: The place of the user's id in the response of ``userinfo_url``, such as
            ``"id"`` or ``"data.0.id"``. ``session.userinfo()`` then has it as the text ``sub``. If
            only several values together are unique, give a list of places.
        userinfo_options: Options of the call to ``userinfo_url``, as for
            :func:`requests.request`, such as ``method``.
        userinfo_in_id_token: Whether ``session.userinfo()`` returns the claims of the id_token,
            for a provider without a URL for them.
        callback_claims: A function that returns claims for the parameters of the provider's
            response to the callback. They are in ``token["userinfo"]``. They are not signed, so
            the id_token's claims come before them.
        logout_url: The provider's page that ends its session, without a ``server_metadata_url``.
        revocation_url: The URL that revokes tokens, without a ``server_metadata_url``.
        authorization_url_params: Parameters to add to ``authorization_url``.
        token_url_params: Parameters to add to the request for an OAuth 2 token.
        refresh_params: Parameters to add to the request that refreshes a token.
        client_options: Options of Authlib's ``OAuth2Session`` or ``OAuth1Session``, such as
            ``token_endpoint_auth_method``, ``signature_method`` or ``verify``.
        client_auth_methods: Methods for Authlib's ``register_client_auth_method``. Name the method
            to use in ``client_options``, as ``token_endpoint_auth_method``.
        compliance_fix: A function that gets each ``OAuth2Session`` of Authlib, for example to
            register a compliance hook.
        user_agent: The header ``User-Agent`` of each call to the provider.
        headers: Headers to add to each call to the provider.
        claims_options: Expected claims of the id_token, in the form of Authlib's
            ``claims_options``.
        id_token_algorithms: The algorithms of id_tokens that are accepted. The default are those
            in the provider's metadata that use a public key. ``["HS256"]`` accepts id_tokens that
            are signed with the client's secret.
        id_token_leeway: The seconds by which the provider's clock may differ.
        nonce: Whether the id_token must contain a nonce. Turn it off for a provider that does not
            repeat it.
        pkce: Whether to use PKCE with S256. Turn it off for a provider that rejects it.
        timeout: The seconds that each call to the provider may take, with its whole response.
        max_response_size: The bytes that a response of the provider may have.
        leeway: A token is refreshed if it expires within so many seconds, and at most in the second
            half of its lifetime.
        redirect_url: The URL to which users are sent after a login.
        redirect_to: The endpoint to which users are sent after a login, instead of a URL.
        error_url: The URL to which users are sent after a failed login. It must be a page that
            needs no login. The default is the URL for successful logins.
        cookie_samesite: The attribute ``SameSite`` of the cookie of a pending login: ``"Lax"``, or
            ``"None"`` for an app in a frame of another site, which needs HTTPS.
        storage: A :class:`~aldis.oauth.TokenStorage`, or a class of storages. The default is the
            session.
        login_url: The rule of the view that begins a login; ``{bp.name}`` is replaced by the name.
        authorized_url: The rule of the view to which the provider sends users back.
        url_prefix: The beginning of both rules.
        **options: As for :class:`flask.Blueprint`.

    Raises:
        OAuthSetupError: The settings are incomplete.

    Attributes:
        config: Unused. Flask-Dance's storages look for a user in it.
    """

    def __init__(  # noqa: PLR0913 - a provider has that many settings, and each has a name
        self,
        name: str,
        import_name: str = __name__,
        client_id: str | None = None,
        client_secret: str | Callable[[], str] | None = None,
        *,
        secret_maker: Callable[[str, str | None], str] | None = None,
        server_metadata_url: str | None = None,
        authorization_url: str | None = None,
        token_url: str | None = None,
        request_token_url: str | None = None,
        base_url: str | Callable[[Mapping[str, Any]], str | None] | None = None,
        scope: str | Sequence[str] = (),
        scope_separator: str = " ",
        issuer: str | Sequence[str] | Callable[[Mapping[str, Any]], str | None] | None = None,
        jwks_uri: str | None = None,
        userinfo_url: str | None = None,
        userinfo_subject: str | Sequence[str] | None = None,
        userinfo_options: Mapping[str, Any] | None = None,
        userinfo_in_id_token: bool = False,
        callback_claims: Callable[[Mapping[str, str]], Mapping[str, Any]] | None = None,
        logout_url: str | None = None,
        revocation_url: str | None = None,
        authorization_url_params: Mapping[str, Any] | None = None,
        token_url_params: Mapping[str, Any] | None = None,
        refresh_params: Mapping[str, Any] | None = None,
        client_options: Mapping[str, Any] | None = None,
        client_auth_methods: Sequence[Any] = (),
        compliance_fix: Callable[[Any], object] | None = None,
        user_agent: str | None = None,
        headers: Mapping[str, str] | None = None,
        claims_options: Mapping[str, Any] | None = None,
        id_token_algorithms: Sequence[str] | None = None,
        id_token_leeway: float = 60.0,
        nonce: bool = True,
        pkce: bool = True,
        timeout: float = 10.0,
        max_response_size: int = MAX_RESPONSE_SIZE,
        leeway: float = 60.0,
        redirect_url: str | None = None,
        redirect_to: str | None = None,
        error_url: str | None = None,
        cookie_samesite: Literal["Lax", "None"] = "Lax",
        storage: TokenStorage | type[TokenStorage] | None = None,
        login_url: str = "/{bp.name}",
        authorized_url: str = "/{bp.name}/authorized",
        url_prefix: str | None = "/login",
        **options: Any,
    ) -> None:
        super().__init__(name, import_name, url_prefix=url_prefix, **options)
        self._client_id: str | None = client_id
        self._client_secret: str | Callable[[], str] | None = client_secret
        self._settings: dict[str, Any] = {
            "name": name,
            "secret_maker": secret_maker,
            "server_metadata_url": server_metadata_url,
            "authorization_url": authorization_url,
            "token_url": token_url,
            "request_token_url": request_token_url,
            "base_url": base_url,
            "scope": tuple(scopes(scope)),
            "scope_separator": scope_separator,
            "issuer": issuer,
            "jwks_uri": jwks_uri,
            "userinfo_url": userinfo_url,
            "userinfo_subject": userinfo_subject,
            "userinfo_options": userinfo_options or {},
            "userinfo_in_id_token": userinfo_in_id_token,
            "callback_claims": callback_claims,
            "logout_url": logout_url,
            "revocation_url": revocation_url,
            "authorization_url_params": authorization_url_params or {},
            "token_url_params": token_url_params or {},
            "refresh_params": refresh_params or {},
            "client_options": client_options or {},
            "client_auth_methods": tuple(client_auth_methods),
            "compliance_fix": compliance_fix,
            "user_agent": user_agent,
            "headers": headers or {},
            "claims_options": claims_options or {},
            "id_token_algorithms": id_token_algorithms,
            "id_token_leeway": id_token_leeway,
            "nonce": nonce,
            "pkce": pkce,
            "timeout": timeout,
            "max_response_size": max_response_size,
        }
        Settings(client_id="not known yet", **self._settings)  # raises if a setting is missing
        self.redirect_url: str | None = redirect_url
        self.redirect_to: str | None = redirect_to
        self.error_url: str | None = error_url
        if cookie_samesite not in ("Lax", "None"):
            message = (
                f"cookie_samesite of {name!r} is {cookie_samesite!r}, but the browser comes back "
                'from another site: use "Lax" or "None"'
            )
            raise OAuthSetupError(message)
        self._cookie_samesite: str = cookie_samesite
        self.storage: TokenStorage = (
            storage() if isinstance(storage, type) else storage or SessionStorage()
        )
        self.config: dict[str, Any] = {}
        self.session: OAuthSession = OAuthSession(self, leeway)
        login, authorized = login_url.format(bp=self), authorized_url.format(bp=self)
        self.add_url_rule(login, "login", self.login)
        # With the response mode "form_post", the provider sends a form.
        self.add_url_rule(authorized, "authorized", self.authorized, methods=["GET", "POST"])
        self.add_url_rule(f"{login.rstrip('/')}/failed", "failed", self.failed)
        self.record(self._note_registration)

    @classmethod
    def from_preset(
        cls,
        preset: Preset | str,
        name: str | None = None,
        import_name: str = __name__,
        *,
        offline: bool = False,
        **settings: Any,
    ) -> Self:
        """Create a blueprint for a provider of :mod:`aldis.oauth.providers`.

        ::

            github = OAuthBlueprint.from_preset("github", scope="user:email")

        Args:
            preset: The preset, or its name.
            name: The name of the blueprint. The default is the name of the preset.
            import_name: As for :class:`flask.Blueprint`.
            offline: Whether to ask for a refresh token, for calls without the user.
            **settings: The parameters of the preset, such as ``domain``, and arguments of this
                class. They override the preset's, except that mappings are added to its mappings,
                and a ``compliance_fix`` runs after its own.

        Raises:
            OAuthSetupError: A parameter is missing or wrong, the provider issues no refresh
                tokens, or an argument is unknown.
            UnknownNameError: There is no such preset.
        """
        chosen = preset if isinstance(preset, Preset) else find_preset(preset)
        arguments = chosen.with_settings(settings, offline=offline, known=arguments_of(cls))
        return cls(name or chosen.name, import_name, **arguments)

    # -- for the application -------------------------------------------------------------------

    @property
    def token(self) -> Token | None:
        """The current user's token in the storage. You may assign to it and delete it."""
        found = self.storage.get(self)
        return dict(found) if found else None

    @token.setter
    def token(self, token: Mapping[str, Any] | None) -> None:
        if not token:
            self.storage.delete(self)
            return
        stored = dict(token)
        if stored.get("expires_in") and not stored.get("expires_at"):
            stored["expires_at"] = int(time.time()) + int(stored["expires_in"])
        self.storage.set(self, stored)

    @token.deleter
    def token(self) -> None:
        self.storage.delete(self)

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
        if _is_fetch():
            # A script cannot show the provider's page, so it must know what to do.
            begin, _ = self.urls()
            body = jsonify(error="login_required", login_url=begin)
            body.headers["WWW-Authenticate"] = f'OAuth realm="{self.name}"'
            body.status_code = HTTPStatus.UNAUTHORIZED
            return no_store(body)
        here = safe_next(current_path()) if request.method in ("GET", "HEAD") else None
        login = url_for(f"{self._registration().endpoint}.login", next=here)
        if _login_state.failed_recently(self.name, kind=UNUSABLE):
            # Another login would end like the last one, and the redirects would never end.
            return self._page("It left no token that could be used here.", login)
        return redirect(login)

    def logout(self, redirect_uri: str | None = None) -> BaseResponse:
        """Delete the user's token, and return the response that ends the provider's session, too.

        Call Flask-Login's ``logout_user()`` as well, after it. If the provider has no page for a
        logout, the response is a redirect to ``redirect_uri``, or to the home page.

        Args:
            redirect_uri: The absolute URL to which the provider sends the user back. The provider
                must know it.
        """
        token = self.token
        try:
            page = self.provider.logout_url(token, redirect_uri)
        except (LoginError, requests.RequestException):
            # The provider is down. The user is logged out here in any case.
            page = None
        del self.token
        return no_store(redirect(page or redirect_uri or self._target()))

    def revoke_token(self) -> None:
        """Revoke the user's token at the provider, and delete it. Without a token, do nothing.

        The token is deleted even if the provider fails.

        Raises:
            LoginError: The provider refused.
            OAuthSetupError: The URL of the endpoint is not known: give ``revocation_url`` to the
                blueprint.
            requests.RequestException: The provider could not be reached.
        """
        token = self.token
        if token is None:
            return
        del self.token
        self.provider.revoke(token)

    def urls(self) -> tuple[str, str]:
        """Return the URLs of the view that begins a login, and of the callback."""
        endpoint = self._registration().endpoint
        return url_for(f"{endpoint}.login"), url_for(f"{endpoint}.authorized")

    def use_provider(self, app: Flask, make: Callable[[Settings], Provider] | None) -> None:
        """Let ``app`` log in with another implementation of a provider, for tests.

        Args:
            app: An app with this blueprint.
            make: Returns the implementation for the settings of this blueprint. ``None`` restores
                the real one.
        """
        settings = Settings(client_id="test", **self._settings)
        with app.app_context():
            self._registration().replacement = None if make is None else make(settings)

    def register(self, app: Any, options: dict[str, Any]) -> None:
        """Register the blueprint.

        Raises:
            OAuthSetupError: The app is not a Flask app.
        """
        if not isinstance(app, Flask):
            kind = type(app).__name__
            message = (
                f"aldis.oauth needs a Flask app, and {app.name!r} is a {kind} app. Quart is not "
                "supported yet: run the logins in a Flask app, or use Authlib directly"
            )
            raise OAuthSetupError(message)
        super().register(app, options)

    @property
    def provider(self) -> Provider:
        """The OAuth protocol and the settings of the current app.

        Raises:
            OAuthSetupError: The app's configuration has no client id.
        """
        registration = self._registration()
        if registration.replacement is not None:
            return registration.replacement
        client_id, secret = self._credentials()
        found = registration.provider
        if found is None or (found.settings.client_id, found.settings.client_secret) != (
            client_id,
            secret,
        ):
            settings = Settings(client_id=client_id, client_secret=secret, **self._settings)
            found = registration.provider = _implementation(settings)
        return found

    def _credentials(self) -> tuple[str, str | Callable[[], str] | None]:
        prefix = self.name.upper().replace("-", "_") + "_OAUTH_CLIENT_"
        client_id = self._client_id or current_app.config.get(prefix + "ID")
        if not client_id:
            message = (
                f"{self.name!r} has no client_id: give it to OAuthBlueprint, or set {prefix}ID in "
                "the app's configuration"
            )
            raise OAuthSetupError(message)
        return client_id, self._client_secret or current_app.config.get(prefix + "SECRET")

    def _note_registration(self, state: BlueprintSetupState) -> None:
        endpoint = f"{state.name_prefix}.{state.name}".lstrip(".")
        state.app.extensions.setdefault(EXTENSION, {})[self] = _Registration(endpoint)
        handlers = state.app.error_handler_spec[None][None]
        # An app's own handler, before or after this, takes its place.
        handlers.setdefault(NotLoggedInError, _lead_to_login_again)

    def _registration(self) -> _Registration:
        known: dict[OAuthBlueprint, _Registration] = current_app.extensions.setdefault(
            EXTENSION, {}
        )
        return known.setdefault(self, _Registration(self.name))

    # -- the views -----------------------------------------------------------------------------

    def login(self) -> BaseResponse:
        """Send the user to the provider."""
        return self.start_login(request.args.get("next"))

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
        again = _login_state.failed_recently(self.name)
        provider = self.provider
        try:
            started = provider.start(self._callback_url(), params)
        except OAuthSetupError:
            raise
        except Exception as error:  # noqa: BLE001 - every failure is an oauth_error
            return self._fail(self._described(error), "redirect to the provider", again=again)
        oauth_before_login.send(self, **async_support(), url=started.url)
        login = _login_state.new_login(started, next_url, again=again)
        _login_state.save_login(self._cookies(), started.state, login)
        return no_store(redirect(started.url))

    def _callback_url(self) -> str:
        return url_for(f"{self._registration().endpoint}.authorized", _external=True)

    @collect_rollbacks()
    def authorized(self) -> BaseResponse:
        """Handle the provider's response: fetch the token and store it."""
        if request.method == "POST":
            # Browsers send no session with a form of another site, but with a redirect to a page.
            here = f"{url_for('.authorized')}?{urlencode(request.form.to_dict())}"
            return no_store(redirect(here, HTTPStatus.SEE_OTHER))
        provider = self.provider
        state = provider.state_in(request.args)
        login = _login_state.pop_login(self._cookies(), state)
        if login is None:
            # Checked before the provider's error: without a pending login, anyone may have made
            # this URL.
            return self._without_login(state)
        try:
            token = self._fetch_token(provider, login)
            with _login_state.finishing(login):
                response, keep = self._send_authorized(token)
        except _FailedError as failed:
            return self._fail(failed.failure, failed.step, again=login.again, cookies_work=True)
        keep = keep and response is None
        if keep:
            self._keep_refresh_token(provider, token)
        error = self._store(token) if keep else None
        if error is not None:
            return self._report({"error": error}, again=login.again, cookies_work=True)
        self._record_success(usable=keep and provider.authorizes(token))
        if response is not None:
            return response
        return no_store(redirect(login.next_url or self._target()))

    def failed(self) -> BaseResponse:
        """Redirect the user after a failed login, if their browser sends cookies.

        Without cookies, every page that needs a login would lead to the next failure.
        """
        if _login_state.failed_recently(self.name):
            return no_store(redirect(self.error_url or self._target()))
        return self._page("This browser does not send cookies to this site, and logins need them.")

    def _without_login(self, state: str | None) -> BaseResponse:
        if self.session.authorized:
            # A second use of the URL, for example in a tab that the browser restored.
            return no_store(redirect(self._target()))
        again = _login_state.failed_recently(self.name)
        return self._fail(unknown_state(state), "state of the response", again=again)

    def _cookies(self) -> LoginCookies:
        return LoginCookies(self.name, *self.urls(), self._cookie_samesite)

    def _record_success(self, *, usable: bool) -> None:
        _login_state.forget_failure(self.name)
        update = _login_state.forget_failure if usable else _login_state.record_failure
        update(self.name, kind=UNUSABLE)

    def _fetch_token(self, provider: Provider, login: PendingLogin) -> Token:
        args = request.args
        step = "response of the provider"
        try:
            provider.check_origin(args)
            failure = provider.error_in(args)
            if failure is None:
                step = "token"
                began = AuthorizationRequest("", "", login.secret, login.nonce, login.max_age)
                return provider.fetch_token(args, self._callback_url(), began)
        except Exception as error:  # noqa: BLE001 - Authlib raises too many types to name
            secrets = [login.secret, login.nonce, args.get("code"), args.get("oauth_verifier")]
            failure = self._described(error, secrets)
        raise _FailedError(failure, step)

    def _send_authorized(self, token: Token) -> tuple[BaseResponse | None, bool]:
        """Send ``oauth_authorized``; return a Response, if any, and whether to store ``token``."""
        with self._unsaved(token):
            try:
                results = oauth_authorized.send(self, **async_support(), token=token)
            except LoginError as rejection:
                failure = self._described(rejection, token_secrets(token))
                raise _FailedError(failure, "receiver of oauth_authorized") from rejection
        # Compared by value, as Flask-Dance does: 0 means False too.
        keep = not any(value == False for _, value in results)  # noqa: E712
        return first_response(value for _, value in results), keep

    @contextmanager
    def _unsaved(self, token: Token) -> Generator[None]:
        """Let receivers call the provider with ``token``, which is not stored yet."""
        outer = UNSAVED_TOKENS.get()
        try:
            set_variable(UNSAVED_TOKENS, {**outer, self: token})
            yield
        finally:
            set_variable(UNSAVED_TOKENS, outer)

    def _keep_refresh_token(self, provider: Provider, token: Token) -> None:
        """Keep the old refresh token if the account is the same and the provider sent no new one.

        Google sends a refresh token only at the user's first consent.
        """
        if token.get("refresh_token"):
            return
        try:
            old = self.token or {}
        except Exception:  # noqa: BLE001 - a storage may raise any error, and `_store` reports it
            return
        same = _login_state.same_account() or provider.is_same_account(old, token)
        if old.get("refresh_token") and same:
            token["refresh_token"] = old["refresh_token"]

    def _store(self, token: Token) -> Exception | None:
        """Store ``token``; return the storage's error if there is one."""
        try:
            self.token = {key: value for key, value in token.items() if key != "userinfo"}
        except Exception as error:  # noqa: BLE001 - a storage may raise any error
            secrets = token_secrets(token)
            failure = self._described(error, secrets)
            reason = f"{type(error).__name__}: {failure.error.exception}"
            self._log_failure("storage", "token not stored", reason)
            return redact(error, secrets)
        return None

    # -- failures ------------------------------------------------------------------------------

    def _described(self, error: Exception, secrets: Iterable[str | None] = ()) -> Failure:
        known = [*self.provider.settings.secrets, *secrets]
        return failure_from(error, known, getattr(error, "response", None))

    def _log_failure(self, step: str, error: str, reason: str | None) -> None:
        text = "a login with %s failed at the step %r: %s (%s)"
        _log.warning(text, self.name, step, log_text(error), log_text(reason or "no reason"))

    def _fail(
        self, failure: Failure, step: str, *, again: bool, cookies_work: bool = False
    ) -> BaseResponse:
        self._log_failure(step, failure.error, failure.description)
        oauth1 = self._settings["request_token_url"]
        payload = failure.as_oauth1() if oauth1 else failure.as_oauth2()
        return self._report(payload, again=again, cookies_work=cookies_work)

    def _report(self, payload: dict[str, Any], *, again: bool, cookies_work: bool) -> BaseResponse:
        """Send ``oauth_error``, and a response that cannot redirect the user back to here.

        Args:
            payload: The payload of the signal.
            again: Whether a redirect after a failed login began this one.
            cookies_work: Whether the browser has sent the session's cookie.
        """
        _login_state.rollback()
        results = oauth_error.send(self, **async_support(), **payload)
        _login_state.record_failure(self.name)
        response = first_response(value for _, value in results)
        if response is not None:
            return response
        if again:
            return self._page("Two attempts have failed.")
        if cookies_work:
            return no_store(redirect(self.error_url or self._target()))
        return no_store(redirect(url_for(f"{self._registration().endpoint}.failed")))

    def _target(self) -> str:
        if self.redirect_url:
            return self.redirect_url
        return url_for(self.redirect_to) if self.redirect_to else f"{request.script_root}/"

    def _page(self, hint: str, again: str | None = None) -> BaseResponse:
        home = self.error_url or f"{request.script_root}/"
        return failure_page(
            self.name,
            hint,
            again=again or url_for(f"{self._registration().endpoint}.login"),
            home=home,
        )


def _lead_to_login_again(error: NotLoggedInError) -> BaseResponse:
    """Lead the user to the login if a view without the decorator called the provider."""
    known: dict[OAuthBlueprint, _Registration] = current_app.extensions[EXTENSION]
    found = [blueprint for blueprint in known if blueprint.name == error.provider]
    if not found:
        raise error
    return found[0].lead_to_login()


def _is_fetch() -> bool:
    """Return whether a script sent the request, and not a user who opens a page."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None and mode != "navigate":
        return True
    if request.is_json or request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return True
    accepted = request.accept_mimetypes
    best = accepted.best_match(("text/html", "application/json"), default="text/html")
    return best == "application/json" and accepted[best] > accepted["text/html"]


def _implementation(settings: Settings) -> Provider:
    return OAuth1Provider(settings) if settings.request_token_url else OAuth2Provider(settings)


class _FailedError(Exception):
    def __init__(self, failure: Failure, step: str) -> None:
        super().__init__(failure.error)
        self.failure = failure
        self.step = step
