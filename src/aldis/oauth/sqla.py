"""Stores tokens in a database with SQLAlchemy."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from aldis._compat import set_variable
from aldis._optional import needs
from aldis.errors import LoginError, TokenStorageError
from aldis.oauth._drive import resolved

with needs("aldis.oauth.sqla", "oauth", sqlalchemy="SQLAlchemy"):
    from sqlalchemy import DateTime, String, Text, UniqueConstraint, inspect, select, update
    from sqlalchemy.engine import CursorResult, Dialect
    from sqlalchemy.exc import IntegrityError, OperationalError
    from sqlalchemy.orm import (
        InstanceState,
        Mapped,
        Session,
        declared_attr,
        mapped_column,
        scoped_session,
    )
    from sqlalchemy.types import TypeDecorator

__all__ = ["AsyncSQLAlchemyStorage", "OAuthMixin", "SQLAlchemyStorage", "TokenText"]

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

Token = dict[str, Any]
T = TypeVar("T")

#: The storage, the user's id and the session of the lock that the current task holds.
_LOCKED: Final[ContextVar[tuple[Any, Any, Any] | None]] = ContextVar(
    "aldis_oauth_locked_session", default=None
)


class _Hidden(str):
    """Text that SQLAlchemy's log and error messages do not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[token]'"


class TokenText(TypeDecorator[Token]):
    """A token as JSON text. It never appears in SQLAlchemy's log and error messages."""

    impl: type[Text] = Text
    cache_ok: bool | None = True

    def process_bind_param(self, value: Token | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the text for the database."""
        return None if value is None else _Hidden(json.dumps(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Token | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the token in the text from the database."""
        return None if value is None else dict(json.loads(value))


class OAuthMixin:
    """The columns of a table of accounts: the user's id at a provider, and their token.

    The class that uses it adds the column ``user_id``, a foreign key, and the relationship
    ``user``. The database accepts one user for each account of a provider, and one account of a
    provider for each user.

    Attributes:
        id: The primary key.
        provider: The name of the blueprint.
        provider_user_id: The user's id at the provider, its subject; never an e-mail address.
        token: The token. It is ``None`` after it was deleted; the link to the user stays.
        created_at: The time in UTC at which the account was linked.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(String(50))
    provider_user_id: Mapped[str | None] = mapped_column(String(255))
    token: Mapped[Token | None] = mapped_column(TokenText)
    # Without a time zone, as the column has none: some drivers refuse or convert others.
    created_at: Mapped[datetime] = mapped_column(
        DateTime, default=lambda: datetime.now(UTC).replace(tzinfo=None)
    )

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805 - SQLAlchemy passes the class
        """Allow one user for each account, and one account of a provider for each user."""
        return (
            UniqueConstraint("provider", "provider_user_id"),
            UniqueConstraint("provider", "user_id"),
        )


def user_key(model: type[Any], user: Any) -> Any:
    """Return the value of ``model.user_id`` for ``user``.

    Args:
        model: A class with :class:`OAuthMixin`.
        user: The user. The primary key may have any name. An object of another class than the
            relationship's needs an attribute ``id``.
    """
    relation = inspect(model).relationships.get("user")
    if relation is not None and isinstance(user, relation.mapper.class_):
        remote = relation.local_remote_pairs[0][1]
        return getattr(user, relation.mapper.get_property_by_column(remote).key)
    state = inspect(user, raiseerr=False)
    if isinstance(state, InstanceState):
        return state.mapper.primary_key_from_instance(user)[0]
    return user.id


class SQLAlchemyStorage:
    """Stores each user's token in a row of a table.

    The storage commits the session. Otherwise, a rollback of the request would lose a refresh token
    that the provider has already replaced. A refresh commits the session before and after it.

    While a process refreshes a token, it locks the token's row, so all other processes wait for it.
    On SQLite, the lock is for the whole database: during a refresh, no other process can write.

    Args:
        model: A class with :class:`OAuthMixin`.
        session: The SQLAlchemy session, or a proxy such as Flask-SQLAlchemy's ``db.session``.
        user: The current user: an object, a proxy such as Flask-Login's ``current_user``, or a
            function that returns the user. ``None`` and a user who is not authenticated have no
            token.
    """

    def __init__(
        self,
        model: type[Any],
        session: Session | scoped_session[Any],
        user: object | Callable[[], object],
    ) -> None:
        self.model: type[Any] = model
        self.session: Session | scoped_session[Any] = session
        self.user: Any = user

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
        """Store ``token`` for the current user.

        Raises:
            TokenStorageError: No user is logged in.
        """
        user_id = self._user_id()
        if user_id is None:
            message = (
                f"the token from {blueprint.name!r} cannot be stored, because no user is logged "
                "in: log the user in in a receiver of oauth_authorized, as aldis.oauth.linking does"
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
        """Delete the current user's token. The link between the account and the user stays."""
        user_id = self._user_id()
        if user_id is not None and self._update(blueprint, user_id, None):
            self.session.commit()

    @contextmanager
    def refresh_lock(self, blueprint: Any) -> Generator[Token | None]:
        """Lock the current user's token until the context ends, and give the newest one.

        Raises:
            LoginError: The database did not give the lock in time.
        """
        user_id = self._user_id()
        if user_id is None:
            yield None
            return
        # The lock needs a new transaction: an older one may show the token as it was before.
        self.session.commit()
        try:
            yield self._locked_token(blueprint, user_id)
            self.session.commit()
        except BaseException:
            self.session.rollback()
            raise

    def _locked_token(self, blueprint: Any, user_id: Any) -> Token | None:
        row = self._row_of(blueprint, user_id)
        try:
            if self.session.get_bind(inspect(self.model)).dialect.name == "sqlite":
                # SQLite has no FOR UPDATE. An UPDATE locks the database, even one without a change.
                self._execute_update(row, {"provider": self.model.provider})
            found = self.session.execute(
                select(self.model.token).where(*row).with_for_update()
            ).scalar_one_or_none()
        except OperationalError as error:
            text = "the database did not give the lock of this token in time"
            raise LoginError("token_locked", text) from error
        return None if found is None else dict(found)

    def _user_id(self) -> Any:
        return _id_of(self.model, _called(self.user))

    def _row_of(self, blueprint: Any, user_id: Any) -> tuple[Any, ...]:
        return self.model.provider == blueprint.name, self.model.user_id == user_id

    def _update(self, blueprint: Any, user_id: Any, token: Token | None) -> bool:
        return self._execute_update(self._row_of(blueprint, user_id), {"token": token}) > 0

    def _execute_update(self, row: tuple[Any, ...], values: Mapping[str, Any]) -> int:
        result = self.session.execute(update(self.model).where(*row).values(**values))
        return cast("CursorResult[Any]", result).rowcount

    def _insert(self, blueprint: Any, user_id: Any, token: Token) -> None:
        try:
            with self.session.begin_nested():
                row = self.model(provider=blueprint.name, user_id=user_id, token=token)
                self.session.add(row)
        except IntegrityError:
            # Another request of this user inserted the row first.
            if not self._update(blueprint, user_id, token):
                raise


class AsyncSQLAlchemyStorage:
    """Stores each user's token in a row of a table, in an app with an event loop.

    Each operation has its own session, and commits it. The tasks of one request therefore never use
    one session at the same time. On SQLite, commit the changes of the request before you call the
    provider: a refresh waits for other writers.

    Args:
        model: A class with :class:`OAuthMixin`.
        sessions: The app's ``async_sessionmaker``.
        user: The current user: an object, a proxy, or a function, sync or async, that returns the
            user. The default is the function ``user_id`` of the blueprint. ``None`` and a user who
            is not authenticated have no token.
    """

    def __init__(
        self,
        model: type[Any],
        sessions: async_sessionmaker[AsyncSession],
        user: object | Callable[[], object] = None,
    ) -> None:
        self.model: type[Any] = model
        self.sessions: async_sessionmaker[AsyncSession] = sessions
        self.user: Any = user

    async def get(self, blueprint: Any) -> Token | None:
        """Return the current user's token, or ``None``."""
        user_id = await self._user_id(blueprint)
        return await self._run(user_id, lambda rows: rows.get(blueprint))

    async def set(self, blueprint: Any, token: Mapping[str, Any]) -> None:
        """Store ``token`` for the current user.

        Raises:
            TokenStorageError: No user is logged in.
        """
        user_id = await self._user_id(blueprint)
        await self._run(user_id, lambda rows: rows.set(blueprint, token))

    async def delete(self, blueprint: Any) -> None:
        """Delete the current user's token. The link between the account and the user stays."""
        user_id = await self._user_id(blueprint)
        await self._run(user_id, lambda rows: rows.delete(blueprint))

    @asynccontextmanager
    async def refresh_lock(self, blueprint: Any) -> AsyncGenerator[Token | None]:
        """Lock the current user's token until the context ends, and give the newest one.

        Raises:
            LoginError: The database did not give the lock in time.
        """
        user_id = await self._user_id(blueprint)
        if user_id is None:
            yield None
            return
        async with self.sessions() as session:
            try:
                rows = _RowsOfUser(self.model, user_id)
                yield await self._locked(session, rows, blueprint)
                await session.commit()
            except BaseException:
                await session.rollback()
                raise
            finally:
                set_variable(_LOCKED, None)

    async def _locked(
        self, session: AsyncSession, rows: _RowsOfUser, blueprint: Any
    ) -> Token | None:
        found = await session.run_sync(lambda sync: rows.in_session(sync).locked_token(blueprint))
        # The new token must be stored in this transaction.
        set_variable(_LOCKED, (self, rows.user, session))
        return found

    async def _run(self, user_id: Any, work: Callable[[SQLAlchemyStorage], T]) -> T:
        rows = _RowsOfUser(self.model, user_id)
        locked = _LOCKED.get()
        if locked is not None and locked[0] is self and locked[1] == user_id:
            session: AsyncSession = locked[2]
            return await session.run_sync(lambda sync: work(rows.in_session(sync)))
        async with self.sessions() as session:
            return await session.run_sync(lambda sync: work(rows.in_session(sync)))

    async def _user_id(self, blueprint: Any) -> Any:
        if self.user is None:
            return await blueprint.find_user_id()
        return _id_of(self.model, await resolved(_called(self.user)))


class _RowsOfUser(SQLAlchemyStorage):
    """The rows of one user, whose id is known."""

    def __init__(self, model: type[Any], user_id: Any, session: Any = None) -> None:
        super().__init__(model, session, user_id)

    def in_session(self, session: Session) -> _RowsOfUser:
        return _RowsOfUser(self.model, self.user, session)

    def locked_token(self, blueprint: Any) -> Token | None:
        return self._locked_token(blueprint, self.user)

    def _user_id(self) -> Any:
        return self.user


def _called(user: Any) -> Any:
    """Return the user behind a proxy, or the result of a function."""
    if hasattr(type(user), "_get_current_object"):
        user = user._get_current_object()
    return user() if callable(user) else user


def _id_of(model: type[Any], user: Any) -> Any:
    """Return the id of ``user``; ``None`` if no user is logged in."""
    if user is None or getattr(user, "is_authenticated", True) is False:
        return None
    return user_key(model, user)
