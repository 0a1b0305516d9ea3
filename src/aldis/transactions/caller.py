"""Which session is the caller's. SQLAlchemy is imported only where there is one already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from aldis.errors import NoSessionError

__all__ = ["Caller", "Source", "add_finder", "async_part", "caller", "sync_counterpart", "using"]


class Source(Protocol):
    """Where the caller's session comes from: an outbox."""

    def session(self) -> Any:
        """Return the current session; ``None`` if this source does without.

        Raises:
            NoSessionError: There is none.
        """


class Caller(NamedTuple):
    """Whose session it is.

    Attributes:
        source: The outbox that is in use.
        handle: A ``Session``, or a ``Connection`` of SQLAlchemy Core. Never an async one: what is
            collected here goes through its sync counterpart. Or what else the source knows what to
            do with; ``None`` is its current session.
    """

    source: Any
    handle: Any


_given: ContextVar[Caller | None] = ContextVar("aldis_transactions_given", default=None)
_finders: list[Callable[[], Source | None]] = []


@contextmanager
def using(source: Source, handle: Any) -> Iterator[None]:
    """Make ``handle`` the caller's session, or connection, while a ``with`` block runs.

    Args:
        source: Whose it is.
        handle: See :class:`Caller`.
    """
    outer = _given.get()
    _given.set(Caller(source, handle))
    try:
        yield
    finally:
        _given.set(outer)  # not by a token: a generator may be closed in another context


def add_finder(finder: Callable[[], Source | None]) -> None:
    """Ask ``finder`` for the outbox of whatever is current: of a framework, its current app."""
    if finder not in _finders:
        _finders.append(finder)


def caller() -> Caller:
    """Return the caller's session: that of the innermost ``using``, else the current app's.

    Raises:
        NoSessionError: There is none, or several apps are current that have one.
    """
    given = _given.get()
    if given is not None:
        return given if given.handle is not None else _current(given.source)
    sources = [source for finder in _finders if (source := finder()) is not None]
    if not sources:
        message = (
            "whose session is it? There is no current app with an outbox; give the app one "
            "(Aldis(app, outbox=Outbox(db.session))), or say it: with outbox.using(session): ..."
        )
        raise NoSessionError(message)
    if len(sources) > 1:
        message = (
            f"whose session is it? {len(sources)} apps are current that have an outbox; say it: "
            "with outbox.using(session): ..."
        )
        raise NoSessionError(message)
    return _current(sources[0])


def _current(source: Source) -> Caller:
    session = source.session()
    return Caller(source, None if session is None else sync_counterpart(session))


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
    asyncio = async_part()
    if asyncio is not None and isinstance(handle, asyncio.AsyncConnection):
        message = (
            "an AsyncConnection cannot be written to without await; use an AsyncSession, or the "
            "connection that await connection.run_sync(...) hands to its function"
        )
        raise NoSessionError(message)
    message = f"that is no session or connection of SQLAlchemy: {handle!r}"
    raise NoSessionError(message)


def async_part() -> Any | None:
    """Return ``sqlalchemy.ext.asyncio`` if somebody has imported it, who may have async sessions.

    Importing it fails where greenlet is not installed.
    """
    return sys.modules.get("sqlalchemy.ext.asyncio")
