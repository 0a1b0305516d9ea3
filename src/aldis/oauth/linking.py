"""A receiver of ``oauth_authorized`` that links logins to users of Flask-Login and SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import requests

from aldis._optional import needs
from aldis.errors import LoginError, OAuthSetupError
from aldis.oauth._flask import OAuthBlueprint
from aldis.oauth._login_state import on_login_failure

with needs("aldis.oauth.linking", "oauth", flask_login="Flask-Login", sqlalchemy="SQLAlchemy"):
    from flask_login import current_user, login_user, logout_user  # type: ignore[import-untyped]
    from sqlalchemy.orm import Session, scoped_session

    from aldis.oauth._accounts import (
        WRONG_ANSWER,
        Accounts,
        check_signature,
        check_start,
        checked_subject,
        note_stored_account,
        unknown_subject,
    )
    from aldis.oauth.sqla import user_key

__all__ = ["UserLinker"]

Token = Mapping[str, Any]


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
        check_signature(self.subject)
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
        except (requests.RequestException, *WRONG_ANSWER) as error:
            raise unknown_subject(error) from error
        return checked_subject(self.model, found)

    def _linked_user(
        self, blueprint: OAuthBlueprint, subject: str, token: Token, current: Any
    ) -> Any:
        accounts = Accounts(self.model, self.session, blueprint.name)
        current_id = None if current is None else user_key(self.model, current)
        row = accounts.find(subject)
        if row is not None:
            note_stored_account(blueprint.storage, self.model)
        else:
            check_start(current)
            if current is None:
                row = accounts.create(subject, self.create_user(blueprint, token))
            else:
                row = accounts.link(subject, current_id)
        if current is not None and row.user_id != current_id:
            raise LoginError("account_taken", "this account is linked to another user")
        return row.user


def _subject(blueprint: OAuthBlueprint, token: Token) -> str | None:
    found: str | None = token.get("userinfo", {}).get("sub")
    if found is None and blueprint.provider.settings.userinfo_subject:
        found = blueprint.session.userinfo()["sub"]
    return found
