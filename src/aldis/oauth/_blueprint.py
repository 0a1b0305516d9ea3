"""The steps of a login, which the blueprints of Flask and of Quart share."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Final, Literal, Self
from urllib.parse import urlencode

from flask.sansio.app import App
from flask.sansio.blueprints import Blueprint, BlueprintSetupState

from aldis._compat import set_variable
from aldis.errors import LoginError, NotLoggedInError, OAuthSetupError
from aldis.oauth import _login_state
from aldis.oauth._client import UNSAVED_TOKENS
from aldis.oauth._drive import resolved
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
from aldis.oauth._protocol import AuthorizationRequest, Provider, Settings, Token, scopes
from aldis.oauth._responses import current_path, failure_page, first_response, no_store, safe_next
from aldis.oauth._web import Web
from aldis.oauth.providers import Preset, find_preset
from aldis.oauth.providers._preset import arguments_of
from aldis.oauth.signals import oauth_authorized, oauth_before_login, oauth_error

__all__ = ["BaseOAuthBlueprint", "blueprint_of"]

_log = logging.getLogger("aldis.oauth")

#: The key in ``app.extensions`` for the registrations of all blueprints.
EXTENSION: Final = "aldis.oauth"


@dataclass(slots=True)
class _Registration:
    """The state of a blueprint in one app.

    Attributes:
        endpoint: The name of the blueprint in the app.
        providers: The provider, for all threads or for each event loop.
        replacement: The provider of a test.
    """

    endpoint: str
    providers: dict[Any, Provider] = field(default_factory=dict)
    replacement: Provider | None = None


class BaseOAuthBlueprint(Blueprint):
    """Lets users log in with a provider of OAuth 2, OpenID Connect or OAuth 1.0a.

    It is the base of :class:`aldis.oauth.OAuthBlueprint` for Flask and of
    :class:`aldis.oauth.quart.OAuthBlueprint`, and has their common arguments.

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
        user_id: Returns the id of the app's current user, or ``None``. aldis compares the ids at
            the beginning and at the end of a login. The default on Flask is Flask-Login's user.
        login_url: The rule of the view that begins a login; ``{bp.name}`` is replaced by the name.
        authorized_url: The rule of the view to which the provider sends users back.
        url_prefix: The beginning of both rules.
        **options: As for :class:`flask.Blueprint`.

    Raises:
        OAuthSetupError: The settings are incomplete.

    Attributes:
        config: Unused. Flask-Dance's storages look for a user in it.
    """

    #: The framework, and the class of its apps.
    web: ClassVar[Web]
    _app_class: ClassVar[type[App]]

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
        storage: Any = None,
        user_id: Callable[[], object] | None = None,
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
        # It raises if a setting is missing.
        self._check_settings(Settings(client_id="not known yet", **self._settings))
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
        chosen = storage() if isinstance(storage, type) else storage
        self.storage = self._default_storage() if chosen is None else chosen
        self.config: dict[str, Any] = {}
        self.user_id: Callable[[], object] | None = user_id
        self.session: Any = self._make_session(leeway)
        login, authorized = login_url.format(bp=self), authorized_url.format(bp=self)
        self.add_url_rule(login, "login", self._login_view)
        # With the response mode "form_post", the provider sends a form.
        self.add_url_rule(authorized, "authorized", self._authorized_view, methods=["GET", "POST"])
        self.add_url_rule(f"{login.rstrip('/')}/failed", "failed", self._failed_view)
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
    def storage(self) -> Any:
        """The storage of the tokens. You may assign another one."""
        return self._storage

    @storage.setter
    def storage(self, storage: Any) -> None:
        self._check_storage(storage)
        self._storage: Any = storage

    async def load_token(self) -> Token | None:
        """Return the current user's token in the storage."""
        found = await resolved(self.storage.get(self))
        return dict(found) if found else None

    async def save_token(self, token: Mapping[str, Any] | None) -> None:
        """Store the current user's token. ``None`` deletes it."""
        if not token:
            await resolved(self.storage.delete(self))
            return
        stored = dict(token)
        if stored.get("expires_in") and not stored.get("expires_at"):
            stored["expires_at"] = int(time.time()) + int(stored["expires_in"])
        await resolved(self.storage.set(self, stored))

    def urls(self) -> tuple[str, str]:
        """Return the URLs of the view that begins a login, and of the callback."""
        endpoint = self._registration().endpoint
        url_for = self.web.url_for
        return url_for(f"{endpoint}.login"), url_for(f"{endpoint}.authorized")

    def use_provider(self, app: Any, make: Callable[[Settings], Provider] | None) -> None:
        """Let ``app`` log in with another implementation of a provider, for tests.

        Args:
            app: An app with this blueprint.
            make: Returns the implementation for the settings of this blueprint. ``None`` restores
                the real one.
        """
        settings = Settings(client_id="test", **self._settings)
        self._registration_in(app).replacement = None if make is None else make(settings)

    def register(self, app: Any, options: dict[str, Any]) -> None:
        """Register the blueprint.

        Raises:
            OAuthSetupError: The app is of another framework.
        """
        if not isinstance(app, self._app_class):
            message = (
                f"{app.name!r} is a {type(app).__name__} app, and this OAuthBlueprint is for "
                f"{self._app_class.__name__}: for Flask, import it from aldis.oauth; for Quart, "
                "from aldis.oauth.quart"
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
        place = self.place()
        found = registration.providers.get(place)
        if found is None or (found.settings.client_id, found.settings.client_secret) != (
            client_id,
            secret,
        ):
            settings = Settings(client_id=client_id, client_secret=secret, **self._settings)
            self._forget_closed(registration)
            found = registration.providers[place] = self._implementation(settings)
        return found

    def _credentials(self) -> tuple[str, str | Callable[[], str] | None]:
        prefix = self.name.upper().replace("-", "_") + "_OAUTH_CLIENT_"
        client_id = self._client_id or self.web.current_app.config.get(prefix + "ID")
        if not client_id:
            message = (
                f"{self.name!r} has no client_id: give it to OAuthBlueprint, or set {prefix}ID in "
                "the app's configuration"
            )
            raise OAuthSetupError(message)
        return client_id, self._client_secret or self.web.current_app.config.get(prefix + "SECRET")

    def _note_registration(self, state: BlueprintSetupState) -> None:
        endpoint = f"{state.name_prefix}.{state.name}".lstrip(".")
        state.app.extensions.setdefault(EXTENSION, {})[self] = _Registration(endpoint)
        handlers = state.app.error_handler_spec[None][None]
        # An app's own handler, before or after this, takes its place.
        handlers.setdefault(NotLoggedInError, self._lead_to_login_again)

    def _registration(self) -> _Registration:
        return self._registration_in(self.web.current_app)

    def _registration_in(self, app: Any) -> _Registration:
        known: dict[Any, _Registration] = app.extensions.setdefault(EXTENSION, {})
        return known.setdefault(self, _Registration(self.name))

    @staticmethod
    def _forget_closed(registration: _Registration) -> None:
        """Forget the providers of event loops that have ended."""
        for place in list(registration.providers):
            if place is not None and place.is_closed():
                registration.providers.pop(place, None)

    def _forget_providers(self, app: Any) -> list[Provider]:
        """Forget the providers of an app that stops, and return them."""
        providers = self._registration_in(app).providers
        found = list(providers.values())
        providers.clear()
        return found

    # -- the framework -------------------------------------------------------------------------

    @abstractmethod
    def place(self) -> Any:
        """Return the key of this request's provider: one for all threads, or the event loop."""

    def _check_storage(self, storage: Any) -> None:
        """Refuse a storage that does not work with the framework."""

    def _check_settings(self, settings: Settings) -> None:
        """Refuse settings that do not work with the framework."""

    @abstractmethod
    def _default_storage(self) -> Any:
        """Return the storage that keeps tokens in the session."""

    @abstractmethod
    def _make_session(self, leeway: float) -> Any:
        """Return the object that calls the provider for the current user."""

    @abstractmethod
    def _implementation(self, settings: Settings) -> Provider:
        """Return the OAuth protocol for ``settings``."""

    @abstractmethod
    async def find_user_id(self) -> object:
        """Return the id of the app's current user, or ``None``."""

    @abstractmethod
    def _login_view(self) -> Any:
        """Handle a request to ``login_url``."""

    @abstractmethod
    def _authorized_view(self) -> Any:
        """Handle a request to ``authorized_url``."""

    @abstractmethod
    def _failed_view(self) -> Any:
        """Handle a request to the page of a failed login."""

    @staticmethod
    @abstractmethod
    def _lead_to_login_again(error: NotLoggedInError) -> Any:
        """Lead the user to the login if a view without the decorator called the provider."""

    # -- the views -----------------------------------------------------------------------------

    async def _start_login(self, next_url: str | None, params: Mapping[str, Any]) -> Any:
        again = _login_state.failed_recently(self.web, self.name)
        provider = self.provider
        try:
            started = await provider.start(self._callback_url(), params)
        except OAuthSetupError:
            raise
        except Exception as error:  # noqa: BLE001 - every failure is an oauth_error
            step = "redirect to the provider"
            return await self._fail(self._described(error), step, again=again)
        await self.web.send(oauth_before_login, self, {"url": started.url})
        login = _login_state.new_login(
            self.web, started, next_url, user=await self.find_user_id(), again=again
        )
        _login_state.save_login(self._cookies(), started.state, login)
        return no_store(self.web.redirect(started.url))

    def _callback_url(self) -> str:
        return self.web.url_for(f"{self._registration().endpoint}.authorized", _external=True)

    @collect_rollbacks()
    async def _finish_login(self) -> Any:
        """Handle the provider's response: fetch the token and store it."""
        web = self.web
        if web.request.method == "POST":
            # Browsers send no session with a form of another site, but with a redirect to a page.
            here = f"{web.url_for('.authorized')}?{urlencode(await web.form())}"
            return no_store(web.redirect(here, HTTPStatus.SEE_OTHER))
        provider = self.provider
        state = provider.state_in(web.request.args)
        login = _login_state.pop_login(self._cookies(), state)
        if login is None:
            # Checked before the provider's error: without a pending login, anyone may have made
            # this URL.
            return await self._without_login(state)
        try:
            token = await self._fetch_token(provider, login)
            with _login_state.finishing(login, await self.find_user_id()):
                response, keep = await self._send_authorized(token)
        except _FailedError as failed:
            return await self._fail(
                failed.failure, failed.step, again=login.again, cookies_work=True
            )
        keep = keep and response is None
        if keep:
            await self._keep_refresh_token(provider, token)
        error = await self._store(token) if keep else None
        if error is not None:
            return await self._report({"error": error}, again=login.again, cookies_work=True)
        self._record_success(usable=keep and provider.authorizes(token))
        if response is not None:
            return response
        return no_store(web.redirect(login.next_url or self._target()))

    def _after_failure(self) -> Any:
        """Redirect the user after a failed login, if their browser sends cookies.

        Without cookies, every page that needs a login would lead to the next failure.
        """
        if _login_state.failed_recently(self.web, self.name):
            return no_store(self.web.redirect(self.error_url or self._target()))
        return self._page("This browser does not send cookies to this site, and logins need them.")

    def _login_response(self) -> Any:
        """Return the response for a user who must log in to see the current page."""
        web = self.web
        if _is_fetch(web.request):
            # A script cannot show the provider's page, so it must know what to do.
            begin, _ = self.urls()
            body = web.jsonify(error="login_required", login_url=begin)
            body.headers["WWW-Authenticate"] = f'OAuth realm="{self.name}"'
            body.status_code = HTTPStatus.UNAUTHORIZED
            return no_store(body)
        here = safe_next(current_path(web)) if web.request.method in ("GET", "HEAD") else None
        login = web.url_for(f"{self._registration().endpoint}.login", next=here)
        if _login_state.failed_recently(web, self.name, kind=UNUSABLE):
            # Another login would end like the last one, and the redirects would never end.
            return self._page("It left no token that could be used here.", login)
        return web.redirect(login)

    async def _log_out(self, redirect_uri: str | None) -> Any:
        token = await self.load_token()
        provider = self.provider
        known: tuple[type[Exception], ...] = (LoginError, *provider.transport_errors)
        try:
            page = await provider.logout_url(token, redirect_uri)
        except known:
            # The provider is down. The user is logged out here in any case.
            page = None
        await self.save_token(None)
        return no_store(self.web.redirect(page or redirect_uri or self._target()))

    async def _revoke(self) -> None:
        token = await self.load_token()
        if token is None:
            return
        await self.save_token(None)
        await self.provider.revoke(token)

    async def _without_login(self, state: str | None) -> Any:
        if await self.session._is_authorized():  # noqa: SLF001 - the session is a part of the blueprint
            # A second use of the URL, for example in a tab that the browser restored.
            return no_store(self.web.redirect(self._target()))
        again = _login_state.failed_recently(self.web, self.name)
        return await self._fail(unknown_state(state), "state of the response", again=again)

    def _cookies(self) -> LoginCookies:
        return LoginCookies(self.web, self.name, *self.urls(), self._cookie_samesite)

    def _record_success(self, *, usable: bool) -> None:
        _login_state.forget_failure(self.web, self.name)
        update = _login_state.forget_failure if usable else _login_state.record_failure
        update(self.web, self.name, kind=UNUSABLE)

    async def _fetch_token(self, provider: Provider, login: PendingLogin) -> Token:
        args = self.web.request.args
        step = "response of the provider"
        try:
            await provider.check_origin(args)
            failure = provider.error_in(args)
            if failure is None:
                step = "token"
                began = AuthorizationRequest("", "", login.secret, login.nonce, login.max_age)
                return await provider.fetch_token(args, self._callback_url(), began)
        except Exception as error:  # noqa: BLE001 - Authlib raises too many types to name
            secrets = [login.secret, login.nonce, args.get("code"), args.get("oauth_verifier")]
            failure = self._described(error, secrets)
        raise _FailedError(failure, step)

    async def _send_authorized(self, token: Token) -> tuple[Any, bool]:
        """Send ``oauth_authorized``; return a Response, if any, and whether to store ``token``."""
        with self._unsaved(token):
            try:
                results = await self.web.send(oauth_authorized, self, {"token": token})
            except LoginError as rejection:
                failure = self._described(rejection, token_secrets(token))
                raise _FailedError(failure, "receiver of oauth_authorized") from rejection
        # Compared by value, as Flask-Dance does: 0 means False too.
        keep = not any(value == False for _, value in results)  # noqa: E712
        return first_response(self.web, (value for _, value in results)), keep

    @contextmanager
    def _unsaved(self, token: Token) -> Generator[None]:
        """Let receivers call the provider with ``token``, which is not stored yet."""
        outer = UNSAVED_TOKENS.get()
        try:
            set_variable(UNSAVED_TOKENS, {**outer, self: token})
            yield
        finally:
            set_variable(UNSAVED_TOKENS, outer)

    async def _keep_refresh_token(self, provider: Provider, token: Token) -> None:
        """Keep the old refresh token if the account is the same and the provider sent no new one.

        Google sends a refresh token only at the user's first consent.
        """
        if token.get("refresh_token"):
            return
        try:
            old = await self.load_token() or {}
        except Exception:  # noqa: BLE001 - a storage may raise any error, and `_store` reports it
            return
        same = _login_state.same_account() or provider.is_same_account(old, token)
        if old.get("refresh_token") and same:
            token["refresh_token"] = old["refresh_token"]

    async def _store(self, token: Token) -> Exception | None:
        """Store ``token``; return the storage's error if there is one."""
        try:
            await self.save_token({k: v for k, v in token.items() if k != "userinfo"})
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

    async def _fail(
        self, failure: Failure, step: str, *, again: bool, cookies_work: bool = False
    ) -> Any:
        self._log_failure(step, failure.error, failure.description)
        oauth1 = self._settings["request_token_url"]
        payload = failure.as_oauth1() if oauth1 else failure.as_oauth2()
        return await self._report(payload, again=again, cookies_work=cookies_work)

    async def _report(self, payload: dict[str, Any], *, again: bool, cookies_work: bool) -> Any:
        """Send ``oauth_error``, and a response that cannot redirect the user back to here.

        Args:
            payload: The payload of the signal.
            again: Whether a redirect after a failed login began this one.
            cookies_work: Whether the browser has sent the session's cookie.
        """
        await _login_state.rollback()
        results = await self.web.send(oauth_error, self, payload)
        _login_state.record_failure(self.web, self.name)
        response = first_response(self.web, (value for _, value in results))
        if response is not None:
            return response
        if again:
            return self._page("Two attempts have failed.")
        if cookies_work:
            return no_store(self.web.redirect(self.error_url or self._target()))
        failed = self.web.url_for(f"{self._registration().endpoint}.failed")
        return no_store(self.web.redirect(failed))

    def _target(self) -> str:
        if self.redirect_url:
            return self.redirect_url
        if self.redirect_to:
            return self.web.url_for(self.redirect_to)
        return f"{self.web.request.script_root}/"

    def _page(self, hint: str, again: str | None = None) -> Any:
        home = self.error_url or f"{self.web.request.script_root}/"
        return failure_page(
            self.web,
            self.name,
            hint,
            again=again or self.web.url_for(f"{self._registration().endpoint}.login"),
            home=home,
        )


def blueprint_of(app: Any, error: NotLoggedInError) -> Any:
    """Return the blueprint of the provider that an error names.

    Raises:
        NotLoggedInError: It is no blueprint of ``app``.
    """
    known: dict[Any, _Registration] = app.extensions[EXTENSION]
    found = [blueprint for blueprint in known if blueprint.name == error.provider]
    if not found:
        raise error
    return found[0]


def _is_fetch(request: Any) -> bool:
    """Return whether a script sent the request, and not a user who opens a page."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None and mode != "navigate":
        return True
    if request.is_json or request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return True
    accepted = request.accept_mimetypes
    best = accepted.best_match(("text/html", "application/json"), default="text/html")
    return bool(best == "application/json" and accepted[best] > accepted["text/html"])


class _FailedError(Exception):
    def __init__(self, failure: Failure, step: str) -> None:
        super().__init__(failure.error)
        self.failure = failure
        self.step = step
