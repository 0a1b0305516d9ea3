"""Calls functions after a commit, in a new transaction."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aldis._compat import usable_after_commit
from aldis.core.frames import hide_frames
from aldis.core.receiver import describe
from aldis.transactions.scope import sqlalchemy_asyncio

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["call_all", "is_async_session", "run_in_new_transaction"]

_log = logging.getLogger("aldis")


def run_in_new_transaction(session: Session, function: Callable[[], object]) -> None:
    """Call ``function`` and log its error.

    If ``function`` begins a transaction in ``session``, even by reading an attribute, that
    transaction is committed when the function returns, and rolled back when it raises an error. If
    the session already has a transaction, that transaction continues.
    """
    before = session.in_transaction()
    try:
        function()
        if not before and _can_end(session):
            session.commit()
    except Exception as error:  # noqa: BLE001 - a receiver's error must not reach the sender
        name = describe(function)
        _log.error("after_commit receiver %s raised", name, exc_info=hide_frames(error))
        if not before:
            _roll_back(session)
    except BaseException:
        if not before:
            _roll_back(session)
        raise


def _can_end(session: Session) -> bool:
    """Tell whether the session has a transaction that can be ended here.

    The transaction of an async session can be ended only in a greenlet.
    """
    if not session.in_transaction():
        return False
    if not is_async_session(session):
        return True
    from sqlalchemy.util.concurrency import in_greenlet  # noqa: PLC0415 - SQLAlchemy is optional

    return in_greenlet()


def is_async_session(session: Session) -> bool:
    """Tell whether ``session`` is the sync side of an ``AsyncSession``."""
    asyncio = sqlalchemy_asyncio()
    return asyncio is not None and asyncio.async_session(session) is not None


def _roll_back(session: Session) -> None:
    try:
        if _can_end(session):
            session.rollback()
    except Exception:  # noqa: BLE001 - a receiver's error must not reach the sender
        _log.exception("the session of an after_commit receiver cannot be rolled back")


def call_all(session: Session, functions: Sequence[Callable[[], object]]) -> None:
    """Call each of ``functions``. If a task is cancelled, the later functions still run."""
    cancellation: BaseException | None = None
    with usable_after_commit(session):
        for function in functions:
            try:
                run_in_new_transaction(session, function)
            except BaseException as error:
                if not _is_cancellation(error):
                    raise
                cancellation = error
    if cancellation is not None:
        raise cancellation


def _is_cancellation(error: BaseException) -> bool:
    exceptions = sys.modules.get("asyncio.exceptions")  # without asyncio, nothing is cancelled
    return exceptions is not None and isinstance(error, exceptions.CancelledError)
