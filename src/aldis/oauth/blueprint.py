"""The blueprint: the views of a login, and what an application asks of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, ParamSpec

from flask import Blueprint, current_app, redirect, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as BaseResponse

from aldis.errors import LoginError, OAuthSetupError
from aldis.oauth import pending
from aldis.oauth.answers import asynchronously, first_response, last_resort, this_path, unstored
from aldis.oauth.begun import begun_now, ending
from aldis.oauth.failures import Failure, describe, harmless, one_line, secrets_in, stranger
from aldis.oauth.next_url import safe_next
from aldis.oauth.pending import PendingLogin
from aldis.oauth.provider import Provider, connect_to
from aldis.oauth.session import IN_HAND, OAuthSession
from aldis.oauth.settings import Settings, scopes
from aldis.oauth.signals import oauth_authorized, oauth_before_login, oauth_error
from aldis.oauth.storages import SessionStorage, TokenStorage
from aldis.oauth.undo import taking_back, undo

__all__ = ["OAuthBlueprint"]

P = ParamSpec("P")

Token = dict[str, Any]

_log = logging.getLogger("aldis.oauth")

#: The key in ``app.extensions``: what an app knows of each blueprint.
EXTENSION: Final = "aldis.oauth"


@dataclass(slots=True)
class _Registered:
    endpoint: str
    provider: Provider | None = None


class OAuthBlueprint(Blueprint):
    """Lets users log in with a provider of OAuth 2, OpenID Connect or OAuth 1.0a.

    ``/login/<name>`` sends the user to the provider, ``/login/<name>/authorized`` takes him back.
    The three signals of :mod:`aldis.oauth.signals` tell of it, with this instance as the sender.

    Args:
        name: The provider's name here.
        import_name: As for :class:`flask.Blueprint`.
        client_id: This application, at the provider. By default, the app's configuration
            ``<NAME>_OAUTH_CLIENT_ID``.
        client_secret: Likewise, ``<NAME>_OAUTH_CLIENT_SECRET``; none for a public client.
        server_metadata_url: Where the provider describes itself, for OpenID Connect. The endpoints
            are then not needed.
        authorization_url: Where users are sent to.
        token_url: Where tokens are fetched: OAuth 2's token endpoint, OAuth 1's access token URL.
        request_token_url: Where request tokens are fetched. It makes this OAuth 1.0a.
        base_url: What URLs given to :attr:`session` are relative to.
        scope: The scopes to ask for, as a list or separated by spaces. With ``openid``, an id_token
            is required and checked; its claims are ``token["userinfo"]`` in receivers.
        issuer: Who signs id_tokens, where there is no ``server_metadata_url``.
        jwks_uri: With which keys, likewise.
        authorization_url_params: What to add to ``authorization_url``.
        token_url_params: What to add to the request for an OAuth 2 token.
        client_options: Options of Authlib's ``OAuth2Session`` or ``OAuth1Session``, such as
            ``token_endpoint_auth_method``, ``signature_method`` or ``verify``.
        pkce: Whether to use PKCE with S256. Turn it off for a provider that refuses it.
        timeout: Seconds that each call to the provider may take.
        leeway: Seconds before its end at which a token is renewed.
        redirect_url: Where to send users after a login.
        redirect_to: The same, as an endpoint.
        error_url: Where to send users after a login that failed; by default, the same place. It
            must be a page that needs no login.
        storage: Where tokens are kept: a :class:`~aldis.oauth.storages.TokenStorage`, or a class of
            them. By default, the session.
        login_url: The rule of the first view; ``{bp.name}`` stands for the name.
        authorized_url: The rule of the second one.
        url_prefix: What both rules begin with.
        **options: As for :class:`flask.Blueprint`.

    Raises:
        OAuthSetupError: The provider is not described completely.

    Attributes:
        config: Unused here. Flask-Dance's storages look for a user in it.
    """

    def __init__(  # noqa: PLR0913 - a provider has that many settings, and each has a name
        self,
        name: str,
        import_name: str = __name__,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        server_metadata_url: str | None = None,
        authorization_url: str | None = None,
        token_url: str | None = None,
        request_token_url: str | None = None,
        base_url: str | None = None,
        scope: str | Sequence[str] = (),
        issuer: str | None = None,
        jwks_uri: str | None = None,
        authorization_url_params: Mapping[str, Any] | None = None,
        token_url_params: Mapping[str, Any] | None = None,
        client_options: Mapping[str, Any] | None = None,
        pkce: bool = True,
        timeout: float = 10.0,
        leeway: float = 60.0,
        redirect_url: str | None = None,
        redirect_to: str | None = None,
        error_url: str | None = None,
        storage: TokenStorage | type[TokenStorage] | None = None,
        login_url: str = "/{bp.name}",
        authorized_url: str = "/{bp.name}/authorized",
        url_prefix: str | None = "/login",
        **options: Any,
    ) -> None:
        super().__init__(name, import_name, url_prefix=url_prefix, **options)
        self._client_id = client_id
        self._client_secret = client_secret
        self._settings: dict[str, Any] = {
            "name": name,
            "server_metadata_url": server_metadata_url,
            "authorization_url": authorization_url,
            "token_url": token_url,
            "request_token_url": request_token_url,
            "base_url": base_url,
            "scope": tuple(scopes(scope)),
            "issuer": issuer,
            "jwks_uri": jwks_uri,
            "authorization_url_params": authorization_url_params or {},
            "token_url_params": token_url_params or {},
            "client_options": client_options or {},
            "pkce": pkce,
            "timeout": timeout,
        }
        Settings(client_id="checked later", **self._settings)
        self.redirect_url = redirect_url
        self.redirect_to = redirect_to
        self.error_url = error_url
        self.storage: Any = storage() if isinstance(storage, type) else storage or SessionStorage()
        self.config: dict[str, Any] = {}
        self.session = OAuthSession(self, leeway)
        login, authorized = login_url.format(bp=self), authorized_url.format(bp=self)
        self.add_url_rule(login, "login", self.login)
        self.add_url_rule(authorized, "authorized", self.authorized)
        self.add_url_rule(f"{login.rstrip('/')}/failed", "failed", self.failed)
        self.record(self._note_registration)

    # -- what an application asks --------------------------------------------------------------

    @property
    def token(self) -> Token | None:
        """The current user's token, from the storage; assign to it or delete it to change that."""
        found = self.storage.get(self)
        return dict(found) if found else None

    @token.setter
    def token(self, token: Mapping[str, Any] | None) -> None:
        if not token:
            self.storage.delete(self)
            return
        kept = dict(token)
        if kept.get("expires_in") and not kept.get("expires_at"):
            kept["expires_at"] = int(time.time()) + int(kept["expires_in"])
        self.storage.set(self, kept)

    @token.deleter
    def token(self) -> None:
        self.storage.delete(self)

    def authorization_required(self, view: Callable[P, Any]) -> Callable[P, Any]:
        """Let a view be seen only with a token; others are sent to log in, and back again.

        Args:
            view: The view.
        """

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            if self.session.authorized:
                return current_app.ensure_sync(view)(*args, **kwargs)
            here = safe_next(this_path()) if request.method in ("GET", "HEAD") else None
            away = url_for(f"{self._registered().endpoint}.login", next=here)
            if pending.recently_failed(self.name, kind=pending.IN_VAIN):
                # Another login would end as the last one did, and lead back to here without end.
                return self._page("It has left no token that could be used here.", away)
            return redirect(away)

        return guarded

    @property
    def provider(self) -> Provider:
        """What talks to the provider for the current app.

        Raises:
            OAuthSetupError: The app's configuration has no client id.
        """
        known = self._registered()
        client_id, secret = self._credentials()
        found = known.provider
        if found is None or (found.settings.client_id, found.settings.client_secret) != (
            client_id,
            secret,
        ):
            settings = Settings(client_id=client_id, client_secret=secret, **self._settings)
            found = known.provider = connect_to(settings)
        return found

    def _credentials(self) -> tuple[str, str | None]:
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
        state.app.extensions.setdefault(EXTENSION, {})[self] = _Registered(endpoint)

    def _registered(self) -> _Registered:
        known: dict[OAuthBlueprint, _Registered] = current_app.extensions.setdefault(EXTENSION, {})
        return known.setdefault(self, _Registered(self.name))

    # -- the views -----------------------------------------------------------------------------

    def login(self) -> BaseResponse:
        """Send the user to the provider."""
        again = pending.recently_failed(self.name)
        provider = self.provider
        try:
            started = provider.start(url_for(".authorized", _external=True))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong there is oauth_error
            return self._fail(self._described(error), again=again)
        oauth_before_login.send(self, **asynchronously(), url=started.url)
        # Only now: a receiver may have rebuilt the session.
        pending.remember(self.name, started.state, begun_now(started, again=again))
        return unstored(redirect(started.url))

    @taking_back()
    def authorized(self) -> BaseResponse:
        """Take the user back from the provider, and fetch the token."""
        provider = self.provider
        state = provider.state_in(request.args)
        login = pending.take(self.name, state)
        if login is None:
            # Told first: without a login of this user under way, anybody may have made the address.
            return self._fail(stranger(state), again=pending.recently_failed(self.name))
        try:
            token = self._fetched(provider, login)
            with ending(login):
                response, keep = self._announced(token)
        except _FailedError as failed:
            return self._fail(failed.failure, again=login.again, proven=True)
        keep = keep and response is None
        refused = self._stored(token) if keep else None
        if refused is not None:
            return self._report({"error": refused}, again=login.again, proven=True)
        self._note_success(in_vain=not (keep and provider.authorizes(token)))
        if response is not None:
            return response
        return unstored(redirect(login.next_url or self._target()))

    def failed(self) -> BaseResponse:
        """Send the user on after a login that failed, once it is known that his session works.

        Without one, every page that needs a login would lead back into the next failure.
        """
        if pending.recently_failed(self.name):
            return unstored(redirect(self.error_url or self._target()))
        return self._page("This browser does not send cookies to this site, and logins need them.")

    def _note_success(self, *, in_vain: bool) -> None:
        pending.forget_failure(self.name)
        note = pending.note_failure if in_vain else pending.forget_failure
        note(self.name, kind=pending.IN_VAIN)

    def _fetched(self, provider: Provider, login: PendingLogin) -> Token:
        args = request.args
        try:
            provider.check_origin(args)
            failure = provider.error_in(args)
            if failure is None:
                return provider.finish(args, url_for(".authorized", _external=True), login)
        except Exception as error:  # noqa: BLE001 - Authlib raises too many types to name
            secrets = [login.secret, login.nonce, args.get("code"), args.get("oauth_verifier")]
            failure = self._described(error, secrets)
        raise _FailedError(failure)

    def _announced(self, token: Token) -> tuple[BaseResponse | None, bool]:
        """Tell the receivers of ``token``; return their Response, and whether to store it."""
        with self._in_hand(token):
            try:
                results = oauth_authorized.send(self, **asynchronously(), token=token)
            except LoginError as refusal:
                raise _FailedError(self._described(refusal, secrets_in(token))) from refusal
        # By value, as the seed's system has it: 0 keeps the token from being stored, too.
        keep = not any(value == False for _, value in results)  # noqa: E712
        return first_response(value for _, value in results), keep

    @contextmanager
    def _in_hand(self, token: Token) -> Generator[None]:
        reset = IN_HAND.set({**IN_HAND.get(), self: token})
        try:
            yield
        finally:
            IN_HAND.reset(reset)

    def _stored(self, token: Token) -> Exception | None:
        """Store ``token``; return why that was refused."""
        try:
            self.token = {key: value for key, value in token.items() if key != "userinfo"}
        except Exception as error:  # noqa: BLE001 - a storage may raise what its database raises
            _log.warning("the storage refused a token from %s: %s", self.name, type(error).__name__)
            return harmless(error, secrets_in(token))
        return None

    # -- failures ------------------------------------------------------------------------------

    def _described(self, error: Exception, secrets: Iterable[str | None] = ()) -> Failure:
        known = [*self.provider.settings.secrets, *secrets]
        return describe(error, known, getattr(error, "response", None))

    def _fail(self, failure: Failure, *, again: bool, proven: bool = False) -> BaseResponse:
        _log.warning("a login with %s failed: %s", self.name, one_line(failure.error))
        oauth1 = self._settings["request_token_url"]
        payload = failure.as_oauth1() if oauth1 else failure.as_oauth2()
        return self._report(payload, again=again, proven=proven)

    def _report(self, payload: dict[str, Any], *, again: bool, proven: bool) -> BaseResponse:
        """Send ``oauth_error``, and the user somewhere that does not lead back to here.

        Args:
            payload: What the signal tells.
            again: Whether this login was itself the end of such a redirect.
            proven: Whether the user's session is known to work.
        """
        undo()
        results = oauth_error.send(self, **asynchronously(), **payload)
        pending.note_failure(self.name)
        response = first_response(value for _, value in results)
        if response is not None:
            return response
        if again:
            return self._page("It has been tried twice now.")
        if proven:
            return unstored(redirect(self.error_url or self._target()))
        return unstored(redirect(url_for(".failed")))

    def _target(self) -> str:
        if self.redirect_url:
            return self.redirect_url
        return url_for(self.redirect_to) if self.redirect_to else f"{request.script_root}/"

    def _page(self, hint: str, again: str | None = None) -> BaseResponse:
        home = self.error_url or f"{request.script_root}/"
        return last_resort(self.name, hint, again=again or url_for(".login"), home=home)


class _FailedError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure
