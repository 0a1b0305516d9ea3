"""Which session is the caller's. SQLAlchemy is imported only where there is one already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from aldis.errors import NoSessionError

__all__ = [
    "SessionProvider",
    "SessionScope",
    "current_scope",
    "register_provider",
    "sqlalchemy_asyncio",
    "sync_counterpart",
    "use_session",
]


class SessionProvider(Protocol):
    """Where the caller's session comes from: an outbox."""

    def session(self) -> Any:
        """Return the current session; ``None`` if this source does without.

        Raises:
            NoSessionError: There is none.
        """


class SessionScope(NamedTuple):
    """Whose session it is.

    Attributes:
        provider: The outbox in use.
        handle: A ``Session``, or a ``Connection`` of SQLAlchemy Core. Never an async one: what is
            collected here goes through its sync counterpart. Or what else the source knows what to
            do with; ``None`` is its current session.
    """

    provider: Any
    handle: Any


_given: ContextVar[SessionScope | None] = ContextVar("aldis_transactions_given", default=None)
_providers: list[Callable[[], SessionProvider | None]] = []


@contextmanager
def use_session(provider: SessionProvider, handle: Any) -> Iterator[None]:
    """Make ``handle`` the caller's session, or connection, while a ``with`` block runs.

    Args:
        provider: The outbox that the session belongs to.
        handle: See :class:`SessionScope`.
    """
    outer = _given.get()
    _given.set(SessionScope(provider, handle))
    try:
        yield
    finally:
        _given.set(outer)  # not by a token: a generator may be closed in another context


def register_provider(find: Callable[[], SessionProvider | None]) -> None:
    """Ask ``find`` for the outbox of whatever is current: of a framework, its current app."""
    if find not in _providers:
        _providers.append(find)


def current_scope() -> SessionScope:
    """Return the caller's session: that of the innermost ``use_session``, else the current app's.

    Raises:
        NoSessionError: There is none, or several apps are current that have one.
    """
    given = _given.get()
    if given is not None:
        return given if given.handle is not None else _current(given.provider)
    providers = [found for find in _providers if (found := find()) is not None]
    if not providers:
        message = (
            "whose session is it? There is no current app with an outbox; give the app one "
            "(Aldis(app, outbox=Outbox(db.session))), or say it: with outbox.using(session): ..."
        )
        raise NoSessionError(message)
    if len(providers) > 1:
        message = (
            f"whose session is it? {len(providers)} apps are current that have an outbox; say it: "
            "with outbox.using(session): ..."
        )
        raise NoSessionError(message)
    return _current(providers[0])


def _current(provider: SessionProvider) -> SessionScope:
    session = provider.session()
    return SessionScope(provider, None if session is None else sync_counterpart(session))


def sync_counterpart(handle: Any) -> Any:
    """Return the ``Session`` or ``Connection`` behind ``handle``, which may be scoped or async.

    Raises:
        NoSessionError: It is neither, or a connection that cannot be used without ``await``.
    """
    from sqlalchemy.engine import Connection  # noqa: PLC0415 - who has a session has imported it
    from sqlalchemy.orm import Session  # noqa: PLC0415 - the same

    real = getattr(handle, "_get_current_object", None)  # of a proxy
    if real is not None:
        handle = real()
    registry = getattr(handle, "registry", None)
    if registry is not None and not isinstance(handle, Session):  # a scoped session
        handle = registry()
    handle = getattr(handle, "sync_session", handle)
    if isinstance(handle, (Session, Connection)):
        return handle
    asyncio = sqlalchemy_asyncio()
    if asyncio is not None and isinstance(handle, asyncio.AsyncConnection):
        message = (
            "an AsyncConnection cannot be written to without await; use an AsyncSession, or the "
            "connection that await connection.run_sync(...) hands to its function"
        )
        raise NoSessionError(message)
    message = f"that is no session or connection of SQLAlchemy: {handle!r}"
    raise NoSessionError(message)


def sqlalchemy_asyncio() -> Any | None:
    """Return ``sqlalchemy.ext.asyncio`` if somebody has imported it, who may have async sessions.

    Importing it fails where greenlet is not installed.
    """
    return sys.modules.get("sqlalchemy.ext.asyncio")
