"""A receiver of ``oauth_authorized`` that links logins to users of Flask-Login and SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final

import requests

from aldis._optional import needs
from aldis.errors import LoginError, OAuthSetupError
from aldis.oauth._flask import OAuthBlueprint
from aldis.oauth._login_state import (
    note_same_account,
    on_login_failure,
    started_by_other_site,
    user_changed,
)

with needs("aldis.oauth.linking", "oauth", flask_login="Flask-Login", sqlalchemy="SQLAlchemy"):
    from flask_login import current_user, login_user, logout_user  # type: ignore[import-untyped]
    from sqlalchemy import inspect, select
    from sqlalchemy.exc import DataError, IntegrityError
    from sqlalchemy.orm import Session, scoped_session

from aldis.oauth.sqla import user_key

__all__ = ["UserLinker"]

Token = Mapping[str, Any]

#: The errors of ``response.json()["id"]`` if the response is not JSON, or not an object.
_WRONG_ANSWER: Final = (LookupError, TypeError, ValueError, AttributeError)


class UserLinker:
    """Logs in the user of a provider's account, and creates a user for a new account.

    Connect it with ``oauth_authorized.connect(linker, blueprint)`` and keep a reference to it,
    because the connection is weak.

    The key of an account is (provider, subject), never its e-mail address. Some providers do not
    verify addresses, so anyone could register another person's address and take over their account.

    If a user is logged in already, the account is linked to that user. The login fails with
    ``oauth_error`` in these cases:

    - The account belongs to another user.
    - The user has another account at this provider.
    - The account is new, and another user, or none, was logged in when the login began. On a shared
      browser, the account may belong to another person.
    - The account is new, a user is logged in, and another site sent the browser to begin the login
      (``Sec-Fetch-Site: cross-site``). That site may have logged the browser in to its own account
      at the provider. Old browsers do not send this header, and no browser sends it without HTTPS.

    If the login fails after this receiver has logged in a user, because another receiver or the
    storage raised an error, the user is logged out again.

    Args:
        model: A class with :class:`aldis.oauth.sqla.OAuthMixin`.
        session: The SQLAlchemy session, or a proxy for it. The linker commits it.
        create_user: Returns a new user for a blueprint and a token. It does not add the user to the
            session.
        subject: Returns the account's id at the provider for a blueprint and a token. The default
            is the ``sub`` of the id_token or, with the setting ``userinfo_subject``, of
            ``blueprint.session.userinfo()``. Without both, pass a function that asks the provider
            through ``blueprint.session``. If it raises an error, the login fails.
        remember: As for Flask-Login's ``login_user``.

    Raises:
        TypeError: ``subject`` cannot be called with a blueprint and a token.
    """

    def __init__(
        self,
        model: type[Any],
        session: Session | scoped_session[Any],
        create_user: Callable[[OAuthBlueprint, Token], Any],
        subject: Callable[[OAuthBlueprint, Token], str | int | None] | None = None,
        *,
        remember: bool = False,
    ) -> None:
        self.model: type[Any] = model
        self.session: Session | scoped_session[Any] = session
        self.create_user: Callable[[OAuthBlueprint, Token], Any] = create_user
        self.subject: Callable[[OAuthBlueprint, Token], str | int | None] = subject or _subject
        _check_signature(self.subject)
        self.remember: bool = remember

    def __call__(self, blueprint: OAuthBlueprint, token: Token, **extra: Any) -> None:  # noqa: ARG002 - a receiver takes more
        """Log the user in.

        Args:
            blueprint: The blueprint of the provider.
            token: The token of the account.
            **extra: Unused.

        Raises:
            LoginError: The account cannot be linked, or the user may not log in.
        """
        subject = self._find_subject(blueprint, token)
        known = current_user._get_current_object()
        current = known if known.is_authenticated else None
        user = self._linked_user(blueprint, subject, token, current)
        if current is not None:
            return
        if not login_user(user, remember=self.remember):
            raise LoginError("user_inactive", "this user may not log in")
        # Another receiver or the storage may still make the login fail.
        on_login_failure(logout_user)

    def _find_subject(self, blueprint: OAuthBlueprint, token: Token) -> str:
        try:
            found = self.subject(blueprint, token)
        except OAuthSetupError:
            raise
        except (requests.RequestException, *_WRONG_ANSWER) as error:
            text = f"the provider did not say who this is ({type(error).__name__})"
            raise LoginError("subject_missing", text) from error
        if found is None or not str(found):
            raise LoginError("subject_missing", "the provider does not say who this is")
        column = inspect(self.model).columns["provider_user_id"]
        return _checked_subject(found, getattr(column.type, "length", None))

    def _linked_user(
        self, blueprint: OAuthBlueprint, subject: str, token: Token, current: Any
    ) -> Any:
        row = self._account(blueprint, subject)
        if row is None:
            _check_start(current)
            row = self._link(blueprint, subject, token, current)
        elif self._stores_tokens_of(blueprint):
            note_same_account()
        if current is not None and row.user_id != user_key(self.model, current):
            raise LoginError("account_taken", "this account is linked to another user")
        return row.user

    def _stores_tokens_of(self, blueprint: OAuthBlueprint) -> bool:
        """Return whether the tokens are in the rows of the accounts, so that each has its own."""
        # A storage around another one has it as its attribute.
        storage = getattr(blueprint.storage, "storage", blueprint.storage)
        return getattr(storage, "model", None) is self.model

    def _link(self, blueprint: OAuthBlueprint, subject: str, token: Token, current: Any) -> Any:
        if current is not None:
            row = self._find(provider=blueprint.name, user_id=user_key(self.model, current))
            if row is not None and row.provider_user_id is not None:
                raise _second_account()
            if row is not None:
                row.provider_user_id = subject
                self.session.commit()
                return row
        user = current or self.create_user(blueprint, token)
        try:
            with self.session.begin_nested():
                self.session.add(
                    self.model(provider=blueprint.name, provider_user_id=subject, user=user)
                )
        except IntegrityError:
            # Another request linked this account at the same moment.
            row = self._account(blueprint, subject)
            if row is None:
                if current is not None and self._find(
                    provider=blueprint.name, user_id=user_key(self.model, current)
                ):
                    # Another request linked another account to this user.
                    raise _second_account() from None
                raise
            return row
        except (DataError, UnicodeError) as error:
            # For example, the new user has a name with a NUL, or with too many characters.
            self.session.rollback()
            text = f"the database cannot store this account ({type(error).__name__})"
            raise LoginError("account_invalid", text) from error
        self.session.commit()
        return self._account(blueprint, subject)

    def _account(self, blueprint: OAuthBlueprint, subject: str) -> Any:
        row = self._find(provider=blueprint.name, provider_user_id=subject)
        if row is not None and row.provider_user_id != subject:
            # The column ignores case or accents. MySQL's columns do so by default.
            raise LoginError("account_taken", "another account here has nearly the same identifier")
        return row

    def _find(self, **values: Any) -> Any:
        return self.session.execute(select(self.model).filter_by(**values)).scalar_one_or_none()


def _checked_subject(found: object, length: int | None) -> str:
    """Return a subject as the text that the database stores.

    Raises:
        LoginError: The database cannot store it, or would change it.
    """
    text = str(found)
    right_type = isinstance(found, str | int) and not isinstance(found, bool)
    if not right_type or not text.isprintable() or (length is not None and len(text) > length):
        limit = f"at most {length} " if length is not None else ""
        reason = f"the account's identifier is not a text of {limit}printable characters"
        raise LoginError("subject_invalid", reason)
    return text


def _check_signature(subject: Callable[..., Any]) -> None:
    """Reject a wrong signature now, because at a login it would look like a failed login."""
    try:
        found = signature(subject)
    except ValueError:
        # Some functions written in C have no signature.
        return
    try:
        found.bind("the blueprint", "the token")
    except TypeError as error:
        message = f"subject is called with the blueprint and the token: {error}"
        raise TypeError(message) from None


def _check_start(current: Any) -> None:
    """Refuse to link an account that may belong to another person.

    Raises:
        LoginError: Another user was logged in at the start, or another site began the login.
    """
    if user_changed():
        text = "another user, or none, was logged in here when this login began"
        raise LoginError("user_changed", text)
    if current is not None and started_by_other_site():
        text = "another site led to this login; begin it from a page of this site"
        raise LoginError("begun_elsewhere", text)


def _second_account() -> LoginError:
    return LoginError("account_differs", "this user has another account at the provider")


def _subject(blueprint: OAuthBlueprint, token: Token) -> str | None:
    found: str | None = token.get("userinfo", {}).get("sub")
    if found is None and blueprint.provider.settings.userinfo_subject:
        found = blueprint.session.userinfo()["sub"]
    return found
