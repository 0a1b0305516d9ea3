"""Finds the caller's session. Imports SQLAlchemy only if a session already exists."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aldis._compat import set_variable
from aldis.errors import NoSessionError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session

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
    """Provides the current session, as an outbox does."""

    def session(self) -> Any:
        """Return the current session. ``None`` means that this provider needs no session.

        Raises:
            NoSessionError: No session is current.
        """


class SessionScope(NamedTuple):
    """The session in which the caller's sends are recorded.

    Attributes:
        provider: The outbox in use.
        handle: A ``Session`` or a ``Connection`` of SQLAlchemy, never an async one. A provider that
            needs no session may have another object here. ``None`` means the provider's current
            session.
    """

    provider: Any
    handle: Any


_scope: ContextVar[SessionScope | None] = ContextVar("aldis_session_scope", default=None)
_find_provider: list[Callable[[], SessionProvider | None]] = []


@contextmanager
def use_session(provider: SessionProvider, handle: Any) -> Iterator[None]:
    """Make ``handle`` the caller's session or connection while a ``with`` block runs.

    Args:
        provider: The outbox that the session belongs to.
        handle: See :class:`SessionScope`.
    """
    outer = _scope.get()
    try:
        set_variable(_scope, SessionScope(provider, handle))
        yield
    finally:
        # Not reset() with a token: a generator may be closed in another context.
        set_variable(_scope, outer)


def register_provider(find: Callable[[], SessionProvider | None]) -> None:
    """Register a function that returns the outbox of a framework's current app, or ``None``."""
    if find not in _find_provider:
        _find_provider.append(find)


def current_scope() -> SessionScope:
    """Return the scope of the innermost :func:`use_session`, or that of the current app.

    Raises:
        NoSessionError: No session is current, or several current apps have an outbox.
    """
    scope = _scope.get()
    if scope is not None:
        return scope if scope.handle is not None else _scope_of(scope.provider)
    providers = [found for find in _find_provider if (found := find()) is not None]
    if not providers:
        message = (
            "there is no current app with an outbox, so aldis does not know the session; give the "
            "app an outbox, Aldis(app, outbox=Outbox(db.session)), or name the session: with "
            "outbox.using(session): ..."
        )
        raise NoSessionError(message)
    if len(providers) > 1:
        message = (
            f"{len(providers)} current apps have an outbox, so aldis does not know the session; "
            "name it: with outbox.using(session): ..."
        )
        raise NoSessionError(message)
    return _scope_of(providers[0])


def _scope_of(provider: SessionProvider) -> SessionScope:
    session = provider.session()
    return SessionScope(provider, None if session is None else sync_counterpart(session))


def sync_counterpart(handle: Any) -> Session | Connection:
    """Return the ``Session`` or ``Connection`` behind a scoped or async session.

    Raises:
        NoSessionError: ``handle`` is not a session, or is a connection that needs ``await``.
    """
    session_type, handle_types = _handle_types()
    if issubclass(type(handle), session_type):  # not isinstance(), because a proxy pretends
        return handle  # type: ignore[no-any-return]
    resolve_proxy = getattr(handle, "_get_current_object", None)
    if resolve_proxy is not None:
        handle = resolve_proxy()
    registry = getattr(handle, "registry", None)
    if registry is not None and not isinstance(handle, session_type):  # a scoped session
        handle = registry()
    handle = getattr(handle, "sync_session", handle)
    if isinstance(handle, handle_types):
        return handle
    asyncio = sqlalchemy_asyncio()
    if asyncio is not None and isinstance(handle, asyncio.AsyncConnection):
        message = (
            "an AsyncConnection cannot record a send, because that would need await; use an "
            "AsyncSession, or the connection that await connection.run_sync(...) passes on"
        )
        raise NoSessionError(message)
    message = f"{handle!r} is not a session or connection of SQLAlchemy"
    raise NoSessionError(message)


@cache  # an import statement in each call would take a third of the time of a deferred call
def _handle_types() -> tuple[type[Session], tuple[type[Session], type[Connection]]]:
    from sqlalchemy.engine import Connection  # noqa: PLC0415 - SQLAlchemy is optional
    from sqlalchemy.orm import Session  # noqa: PLC0415 - SQLAlchemy is optional

    return Session, (Session, Connection)


def sqlalchemy_asyncio() -> Any | None:
    """Return ``sqlalchemy.ext.asyncio`` if it has been imported.

    If it has not been imported, no async session exists. Importing it fails without greenlet.
    """
    return sys.modules.get("sqlalchemy.ext.asyncio")
