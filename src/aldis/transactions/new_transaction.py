"""Calling what has waited for a commit, outside of the transaction that has ended."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aldis._compat import usable_after_commit
from aldis.core.receiver import describe
from aldis.transactions.scope import sqlalchemy_asyncio

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["call_all", "is_async_session", "run_in_new_transaction"]

_log = logging.getLogger("aldis")


def run_in_new_transaction(session: Session, function: Callable[[], object]) -> None:
    """Call ``function`` outside of any transaction of ``session``; log what it raises.

    The transaction that it begins there, be it by reading an attribute, is its own: committed when
    it returns, rolled back when it raises. ``session`` must not be in a transaction, else that
    goes on.
    """
    before = session.in_transaction()
    try:
        function()
        if not before and _can_end(session):
            session.commit()
    except Exception as error:  # noqa: BLE001 - nobody's but the receiver's
        _log.error("after_commit receiver %s raised", describe(function), exc_info=error)
        if not before:
            _roll_back(session)
    except BaseException:
        if not before:
            _roll_back(session)
        raise


def _can_end(session: Session) -> bool:
    """Tell whether there is a transaction, and a way to wait for its end if that is async."""
    if not session.in_transaction():
        return False
    if not is_async_session(session):
        return True
    from sqlalchemy.util.concurrency import in_greenlet  # noqa: PLC0415 - who has one has the other

    return in_greenlet()


def is_async_session(session: Session) -> bool:
    """Tell whether ``session`` is the sync side of an ``AsyncSession``."""
    asyncio = sqlalchemy_asyncio()
    return asyncio is not None and asyncio.async_session(session) is not None


def _roll_back(session: Session) -> None:
    try:
        if _can_end(session):
            session.rollback()
    except Exception:  # noqa: BLE001 - as above
        _log.exception("what an after_commit receiver left in its session cannot be rolled back")


def call_all(session: Session, functions: Sequence[Callable[[], object]]) -> None:
    """Call each of ``functions``; a cancelled task does not keep the later ones from running."""
    if not functions:
        return
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
    exceptions = sys.modules.get("asyncio.exceptions")  # nobody has imported it for nothing
    return exceptions is not None and isinstance(error, exceptions.CancelledError)
