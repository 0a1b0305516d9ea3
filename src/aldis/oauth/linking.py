"""Linking logins to users, with Flask-Login and SQLAlchemy: a receiver of ``oauth_authorized``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final

import requests

from aldis.errors import LoginError, MissingExtraError, OAuthSetupError
from aldis.oauth.begun import begun_elsewhere, user_has_changed
from aldis.oauth.undo import if_it_fails

try:
    from flask_login import current_user, login_user, logout_user  # type: ignore[import-untyped]
    from sqlalchemy import select
    from sqlalchemy.exc import IntegrityError
except ModuleNotFoundError as missing:
    if missing.name not in ("flask_login", "sqlalchemy"):
        raise
    _message = (
        f"aldis.oauth.linking needs {missing.name}, which is not installed: "
        "pip install 'aldis[oauth]'"
    )
    raise MissingExtraError(_message, name=missing.name) from missing

__all__ = ["UserLinker"]

Token = Mapping[str, Any]

#: What ``answer.json()["id"]`` and its like raise on JSON that is no object, or no JSON.
_TRIPPED: Final = (LookupError, TypeError, ValueError, AttributeError)


class UserLinker:
    """Logs in the user that a provider's account belongs to, and makes one for a new account.

    Accounts are told apart by (provider, subject) alone. An e-mail address is not looked at:
    whoever registers somebody else's, with a provider that does not verify it, would take over his
    account.

    Connect it as ``oauth_authorized.connect(linker, blueprint)``, and keep it: receivers are held
    weakly. With somebody logged in already, the account is linked to him. Refused, with
    ``oauth_error``, is an account of somebody else, and a second account with the same provider.
    A new account is refused, too, when another user is logged in than when the login began, or
    nobody any more: on a browser that is shared, the account may not be his.
    Neither is it linked to somebody logged in when another site has sent his browser to begin the
    login, by what the browser says (``Sec-Fetch-Site: cross-site``): that site may have logged him
    in to an account of its own with the provider. Old browsers do not say it, and none does
    without HTTPS; there this is not prevented.
    Whoever was logged in is logged out again when the login fails after all: another receiver has
    refused it, or the storage the token.

    Args:
        model: A class with :class:`aldis.oauth.sqla.OAuthMixin`.
        session: The SQLAlchemy session, or a proxy for it. It is committed.
        create_user: Makes a user of the blueprint and the token, without adding him to the session.
        subject: Tells from the blueprint and the token whom the provider has let in. By default,
            the id_token's ``sub``; without OpenID Connect, give a function that asks the provider,
            with ``blueprint.session``. An answer that it trips over makes the login fail.
        remember: As for Flask-Login's ``login_user``.

    Raises:
        TypeError: ``subject`` cannot be called with a blueprint and a token.
    """

    def __init__(
        self,
        model: Any,
        session: Any,
        create_user: Callable[[Any, Token], Any],
        subject: Callable[[Any, Token], str | int | None] | None = None,
        *,
        remember: bool = False,
    ) -> None:
        self.model = model
        self.session = session
        self.create_user = create_user
        self.subject = subject or _subject_of_id_token
        _check_signature(self.subject)
        self.remember = remember

    def __call__(self, blueprint: Any, token: Token, **extra: Any) -> None:  # noqa: ARG002 - as receivers do
        """Log the user in.

        Args:
            blueprint: Whose login has succeeded.
            token: What came of it.
            **extra: Unused.

        Raises:
            LoginError: The account cannot be linked, or the user may not log in.
        """
        subject = self._asked(blueprint, token)
        known = current_user._get_current_object()
        here = known if known.is_authenticated else None
        user = self._linked(blueprint, subject, token, here)
        if here is not None:
            return
        if not login_user(user, remember=self.remember):
            raise LoginError("user_inactive", "this user may not log in")
        # A receiver after this one may refuse the login, and the storage the token.
        if_it_fails(logout_user)

    def _asked(self, blueprint: Any, token: Token) -> str:
        try:
            found = self.subject(blueprint, token)
        except OAuthSetupError:
            raise
        except (requests.RequestException, *_TRIPPED) as error:
            # The provider is down, or answers with something else than a user.
            text = f"the provider did not say who this is ({type(error).__name__})"
            raise LoginError("subject_missing", text) from error
        if found is None or not str(found):
            raise LoginError("subject_missing", "the provider does not say who this is")
        return str(found)

    def _linked(self, blueprint: Any, subject: str, token: Token, here: Any) -> Any:
        row = self._account(blueprint, subject)
        if row is None:
            _check_beginning(here)
            row = self._link(blueprint, subject, token, here)
        if here is not None and row.user_id != here.id:
            raise LoginError("account_taken", "this account is linked to another user")
        return row.user

    def _link(self, blueprint: Any, subject: str, token: Token, here: Any) -> Any:
        if here is not None:
            row = self._find(provider=blueprint.name, user_id=here.id)
            if row is not None and row.provider_user_id is not None:
                raise _differs()
            if row is not None:
                row.provider_user_id = subject
                self.session.commit()
                return row
        user = here or self.create_user(blueprint, token)
        try:
            with self.session.begin_nested():
                self.session.add(
                    self.model(provider=blueprint.name, provider_user_id=subject, user=user)
                )
        except IntegrityError:
            # The same person has logged in twice at the same time; the other one was first.
            row = self._account(blueprint, subject)
            if row is None:
                if here is not None and self._find(provider=blueprint.name, user_id=here.id):
                    # The user has linked another account at the same time.
                    raise _differs() from None
                raise
            return row
        self.session.commit()
        return self._account(blueprint, subject)

    def _account(self, blueprint: Any, subject: str) -> Any:
        row = self._find(provider=blueprint.name, provider_user_id=subject)
        if row is not None and row.provider_user_id != subject:
            # A column that compares without regard to case or accents, as MySQL's do by default.
            raise LoginError("account_taken", "another account here has nearly the same identifier")
        return row

    def _find(self, **values: Any) -> Any:
        return self.session.execute(select(self.model).filter_by(**values)).scalar_one_or_none()


def _check_signature(subject: Callable[..., Any]) -> None:
    """Refuse what could never be called: at a login, that would look like the provider's fault."""
    try:
        found = signature(subject)
    except ValueError:
        # Some that are written in C do not tell theirs.
        return
    try:
        found.bind("the blueprint", "the token")
    except TypeError as error:
        message = f"subject is called with the blueprint and the token: {error}"
        raise TypeError(message) from None


def _check_beginning(here: Any) -> None:
    """Refuse to link an account that somebody else may have logged in with.

    Raises:
        LoginError: The login was begun as another user, or by another site.
    """
    if user_has_changed():
        text = "another user was logged in here, or nobody, when this login began"
        raise LoginError("user_changed", text)
    if here is not None and begun_elsewhere():
        text = "another site led to this login; begin it from a page of this one"
        raise LoginError("begun_elsewhere", text)


def _differs() -> LoginError:
    return LoginError("account_differs", "this user has another account there")


def _subject_of_id_token(blueprint: Any, token: Token) -> str | None:  # noqa: ARG001 - `subject`'s signature
    found: str | None = token.get("userinfo", {}).get("sub")
    return found
