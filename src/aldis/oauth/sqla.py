"""Tokens in a database, with SQLAlchemy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aldis.errors import MissingExtraError, TokenStorageError

try:
    from sqlalchemy import DateTime, String, Text, UniqueConstraint, select, update
    from sqlalchemy.engine import Dialect
    from sqlalchemy.exc import IntegrityError
    from sqlalchemy.orm import Mapped, declared_attr, mapped_column
    from sqlalchemy.types import TypeDecorator
except ModuleNotFoundError as missing:
    if missing.name != "sqlalchemy":
        raise
    _message = (
        "aldis.oauth.sqla needs SQLAlchemy, which is not installed: pip install 'aldis[oauth]'"
    )
    raise MissingExtraError(_message, name="sqlalchemy") from missing

__all__ = ["OAuthMixin", "SQLAlchemyStorage", "TokenText"]

Token = dict[str, Any]


class _Hidden(str):
    """Text that SQLAlchemy's log and error messages, which show parameters, must not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[token]'"


class TokenText(TypeDecorator[Token]):
    """A token as JSON text that stays out of SQLAlchemy's log and error messages."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Token | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return what is written to the database."""
        return None if value is None else _Hidden(json.dumps(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Token | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return what was read."""
        return None if value is None else dict(json.loads(value))


class OAuthMixin:
    """The columns of a table of logins: whom a provider knows a user as, and his token.

    The class that uses it adds the column ``user_id``, a foreign key, and the relationship
    ``user``. A provider's account belongs to one user, and a user has one account at a provider:
    the database refuses anything else.

    Attributes:
        id: The primary key.
        provider: The name of the blueprint.
        provider_user_id: The user's identifier there, its subject; never an e-mail address.
        token: The token; none after it was deleted. The link to the user outlives it.
        created_at: When the account was linked.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(String(50))
    provider_user_id: Mapped[str | None] = mapped_column(String(255))
    token: Mapped[Token | None] = mapped_column(TokenText)
    created_at: Mapped[datetime] = mapped_column(DateTime, default=lambda: datetime.now(UTC))

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805 - SQLAlchemy calls it with the class
        """Keep accounts and users one to one."""
        return (
            UniqueConstraint("provider", "provider_user_id"),
            UniqueConstraint("provider", "user_id"),
        )


class SQLAlchemyStorage:
    """Keeps each user's token in his own row of a table.

    It commits the session: a refresh token that has been renewed must not be lost because the
    request that used it is rolled back.

    Args:
        model: A class with :class:`OAuthMixin`.
        session: The SQLAlchemy session, or a proxy such as Flask-SQLAlchemy's ``db.session``.
        user: The current user: an object, a proxy such as Flask-Login's ``current_user``, or a
            function. ``None``, and whoever is not authenticated, is nobody.
    """

    def __init__(self, model: Any, session: Any, user: Any) -> None:
        self.model = model
        self.session = session
        self.user = user

    def get(self, blueprint: Any) -> Token | None:
        """Return the current user's token, or ``None``."""
        user_id = self._user_id()
        if user_id is None:
            return None
        found = self.session.execute(
            select(self.model.token).where(*self._row_of(blueprint, user_id))
        ).scalar_one_or_none()
        return None if found is None else dict(found)

    def set(self, blueprint: Any, token: Mapping[str, Any]) -> None:
        """Keep ``token`` for the current user.

        Raises:
            TokenStorageError: Nobody is logged in.
        """
        user_id = self._user_id()
        if user_id is None:
            message = (
                f"there is nobody to keep the token from {blueprint.name!r} for: log the user in "
                "in a receiver of oauth_authorized, as aldis.oauth.linking does"
            )
            raise TokenStorageError(message)
        try:
            if not self._update(blueprint, user_id, dict(token)):
                self._insert(blueprint, user_id, dict(token))
            self.session.commit()
        except BaseException:
            self.session.rollback()
            raise

    def delete(self, blueprint: Any) -> None:
        """Forget the current user's token; whom the provider knows him as stays known."""
        user_id = self._user_id()
        if user_id is not None and self._update(blueprint, user_id, None):
            self.session.commit()

    def _user_id(self) -> Any:
        user = self.user
        if hasattr(type(user), "_get_current_object"):
            user = user._get_current_object()
        user = user() if callable(user) else user
        if user is None or getattr(user, "is_authenticated", True) is False:
            return None
        return user.id

    def _row_of(self, blueprint: Any, user_id: Any) -> tuple[Any, ...]:
        return self.model.provider == blueprint.name, self.model.user_id == user_id

    def _update(self, blueprint: Any, user_id: Any, token: Token | None) -> bool:
        changed = self.session.execute(
            update(self.model).where(*self._row_of(blueprint, user_id)).values(token=token)
        )
        return bool(changed.rowcount)

    def _insert(self, blueprint: Any, user_id: Any, token: Token) -> None:
        try:
            with self.session.begin_nested():
                row = self.model(provider=blueprint.name, user_id=user_id, token=token)
                self.session.add(row)
        except IntegrityError:
            # Another request of the same user was quicker.
            if not self._update(blueprint, user_id, token):
                raise
