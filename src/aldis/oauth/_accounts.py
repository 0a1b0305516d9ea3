"""The accounts of providers in a database, and the rules by which a login may link one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final

from sqlalchemy import inspect, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session, scoped_session

from aldis.errors import LoginError
from aldis.oauth._login_state import note_same_account, started_by_other_site, user_changed

__all__ = [
    "WRONG_ANSWER",
    "Accounts",
    "check_signature",
    "check_start",
    "checked_subject",
    "note_stored_account",
    "unknown_subject",
]

Token = Mapping[str, Any]

#: The errors of ``response.json()["id"]`` if the response is not JSON, or not an object.
WRONG_ANSWER: Final = (LookupError, TypeError, ValueError, AttributeError)


class Accounts:
    """The rows of the accounts of one provider.

    Args:
        model: A class with :class:`aldis.oauth.sqla.OAuthMixin`.
        session: The session, or a proxy for it. The methods commit it.
        provider: The name of the blueprint.
    """

    def __init__(
        self, model: type[Any], session: Session | scoped_session[Any], provider: str
    ) -> None:
        self.model: type[Any] = model
        self.session: Session | scoped_session[Any] = session
        self.provider: str = provider

    def find(self, subject: str) -> Any:
        """Return the row of an account, or ``None``.

        Raises:
            LoginError: The database takes another account for it.
        """
        row = self._row(provider_user_id=subject)
        if row is not None and row.provider_user_id != subject:
            # The column ignores case or accents. MySQL's columns do so by default.
            raise LoginError("account_taken", "another account here has nearly the same identifier")
        return row

    def link(self, subject: str, user_id: Any) -> Any:
        """Link a new account to a user who exists, and return its row.

        Raises:
            LoginError: The user has another account at the provider.
        """
        row = self._row(user_id=user_id)
        if row is not None and row.provider_user_id is not None:
            raise _second_account()
        if row is not None:
            row.provider_user_id = subject
            self.session.commit()
            return row
        return self._insert(subject, user_id=user_id)

    def create(self, subject: str, user: Any) -> Any:
        """Add a new user with a new account, and return the row of the account.

        Raises:
            LoginError: The database cannot store them.
        """
        return self._insert(subject, user=user)

    def _insert(self, subject: str, **owner: Any) -> Any:
        try:
            with self.session.begin_nested():
                row = self.model(provider=self.provider, provider_user_id=subject, **owner)
                self.session.add(row)
        except IntegrityError:
            # Another request linked this account at the same moment.
            row = self.find(subject)
            if row is None:
                if "user_id" in owner and self._row(user_id=owner["user_id"]):
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
        return self.find(subject)

    def _row(self, **values: Any) -> Any:
        wanted = select(self.model).filter_by(provider=self.provider, **values)
        return self.session.execute(wanted).scalar_one_or_none()


def unknown_subject(error: Exception | None = None) -> LoginError:
    """Return the error for a provider that does not name the account."""
    if error is None:
        return LoginError("subject_missing", "the provider does not say who this is")
    text = f"the provider did not say who this is ({type(error).__name__})"
    return LoginError("subject_missing", text)


def note_stored_account(storage: Any, model: type[Any]) -> None:
    """Note that the stored token is for the account of this login, if the rows hold the tokens."""
    # A storage around another one has it as its attribute.
    storage = getattr(storage, "storage", storage)
    if getattr(storage, "model", None) is model:
        note_same_account()


def checked_subject(model: type[Any], found: object) -> str:
    """Return a subject as the text that the database stores.

    Raises:
        LoginError: The database cannot store it, or would change it.
    """
    if found is None or not str(found):
        raise unknown_subject()
    length = getattr(inspect(model).columns["provider_user_id"].type, "length", None)
    text = str(found)
    right_type = isinstance(found, str | int) and not isinstance(found, bool)
    if not right_type or not text.isprintable() or (length is not None and len(text) > length):
        limit = f"at most {length} " if length is not None else ""
        reason = f"the account's identifier is not a text of {limit}printable characters"
        raise LoginError("subject_invalid", reason)
    return text


def check_signature(subject: Callable[..., Any]) -> None:
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


def check_start(current: Any) -> None:
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
