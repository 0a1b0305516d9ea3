"""Rows and calls that wait for the end of a session's transaction."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from aldis._compat import is_flushing
from aldis.core import is_strict, strict
from aldis.core.process import ForkSafeLock
from aldis.core.receiver import describe
from aldis.errors import OutboxError
from aldis.transactions.new_transaction import call_all

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, SessionTransaction

__all__ = ["TransactionBuffer", "Writer", "buffer_of", "listen_to_sessions"]

_log = logging.getLogger("aldis")

#: The key of the buffer in ``Session.info``.
_KEY: Final = "aldis.buffer"

#: The states of a call that is never made; see :class:`aldis.core.Call`.
ROLLED_BACK: Final = "rolled back"
NOT_COMMITTED: Final = "not committed"


class Writer(Protocol):
    """Writes rows inside the transaction, just before the commit."""

    def write(self, session: Session, rows: Sequence[Any]) -> None:
        """Write ``rows`` through ``session``, without ending its transaction.

        If a row was written in a savepoint that is then rolled back, but belongs to the outer
        transaction, the buffer passes the row again.
        """

    def committed(self) -> None:
        """React to the commit of rows."""

    def write_late(self, rows: Sequence[Any]) -> None:
        """Write ``rows`` in a separate transaction.

        They were added when the transaction was already prepared or committed. If this raises an
        error, the error is logged and the rows are lost.
        """


class _BufferedRow:
    """A row, and the transaction or savepoint that it belongs to.

    Attributes:
        level: The transaction or savepoint that the row belongs to.
        written_in: The transaction or savepoint in which it was written, or ``None``.
        closed: Whether its savepoint was closed without a release or a rollback.
    """

    __slots__ = ("closed", "level", "thing", "writer", "written_in")

    def __init__(self, level: SessionTransaction, writer: Writer, thing: Any) -> None:
        self.level = level
        self.writer = writer
        self.thing = thing
        self.written_in: SessionTransaction | None = None
        self.closed = False


class _Call:
    """A function to call, and the transaction or savepoint that it belongs to."""

    __slots__ = ("function", "level")

    def __init__(self, level: SessionTransaction, function: Callable[[], object]) -> None:
        self.level = level
        self.function = function


class TransactionBuffer:
    """The rows and calls of one session's current transaction.

    Each entry belongs to the savepoint in which it was added. When the savepoint is released, the
    entry moves to the outer savepoint or transaction. When the savepoint or an outer one is rolled
    back, the entry is dropped. Rows are written in the order in which they were added.
    """

    __slots__ = ("_calls", "_committed", "_committing", "_rolled_back", "_rows", "_wrote")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._rows: list[_BufferedRow] = []
        self._calls: list[_Call] = []
        self._committed: SessionTransaction | None = None
        self._rolled_back: SessionTransaction | None = None
        self._wrote = False  # whether the rows of the current commit have been written
        self._committing = 0  # the number of commits that have begun, of savepoints and outer ones

    def write(self, session: Session, writer: Writer, row: Any) -> None:
        """Make ``writer`` write ``row`` before the current transaction is committed.

        If the commit is already under way, the row is written at once. The caller then runs in the
        flush of this commit, or in a hook before it.
        """
        entry = _BufferedRow(_level(session), writer, row)
        self._rows.append(entry)
        if self._wrote and entry.level.is_active:
            try:
                self._write(session)
            except BaseException:
                self._rows.remove(entry)  # the error goes to the sender
                raise

    def holds(self, writer: Writer) -> bool:
        """Tell whether the current transaction contains a row of ``writer``."""
        return any(row.writer is writer and not row.closed for row in self._rows)

    def call(self, session: Session, function: Callable[[], object]) -> None:
        """Call ``function`` once the outermost transaction is committed, in a new one."""
        self._calls.append(_Call(_level(session), function))

    def waiting(self) -> list[Callable[[], object]]:
        """Return the functions that wait for the commit."""
        return [call.function for call in self._calls]

    def _write(self, session: Session) -> None:
        """Write the rows that are not written yet, in the current savepoint or transaction."""
        level = _level(session)
        while pending := _unwritten(self._rows):  # in a loop, because a flush may send again
            writer = pending[0].writer
            entries = [entry for entry in pending if entry.writer is writer]
            try:
                for entry in entries:  # before the write, because its flush may call this method
                    entry.written_in = level
                writer.write(session, [entry.thing for entry in entries])
            except BaseException:
                for entry in entries:
                    entry.written_in = None
                raise

    # -- events of SQLAlchemy --------------------------------------------------------------------

    def before_commit(self, session: Session) -> None:
        """Write the rows, if the outermost transaction is about to be committed.

        The event does not name the transaction. If a savepoint is open, this method assumes that
        the savepoint is being released. If a second commit begins before the first has ended, the
        first one was that of an outer transaction, which fires this event only once.
        """
        inner = session.get_nested_transaction() is not None and not self._committing
        try:
            if not inner:
                if self._rows:
                    if _unwritten(self._rows) and not is_flushing(session):
                        session.flush()  # in which there may be sends, too: all at once is faster
                    self._write(session)
                self._wrote = True
        finally:
            self._committing += 1

    def after_commit(self, session: Session) -> None:
        """Remember that the innermost transaction or savepoint was committed."""
        self._committed = _level(session)

    def after_rollback(self, session: Session) -> None:
        """Remember that the innermost transaction or savepoint was rolled back."""
        self._rolled_back = _level(session)

    def after_end(self, session: Session, transaction: SessionTransaction) -> None:
        """Move, call or drop the entries of the ``transaction`` that has ended."""
        if transaction.parent is None:
            self._end(session, transaction)
        elif transaction.nested:
            self._leave(transaction, _boundary(transaction.parent))

    def _leave(self, savepoint: SessionTransaction, outer: SessionTransaction) -> None:
        committed = self._committed is savepoint
        rolled_back = self._rolled_back is savepoint
        self._committing = self._committing - 1 if committed else 0
        self._wrote = self._wrote and self._committing > 0
        self._committed = self._rolled_back = None
        rows, self._rows = self._rows, []
        for entry in rows:
            if entry.written_in is savepoint:
                entry.written_in = outer if committed else None
            if entry.level is savepoint:
                if rolled_back or (committed and entry.closed):
                    _report(entry.thing, ROLLED_BACK)
                    continue
                entry.closed = not committed  # if everything is closed, it is logged as discarded
                entry.level = outer
            self._rows.append(entry)
        calls, self._calls = self._calls, []
        for call in calls:
            if call.level is savepoint:
                if not committed:
                    _report(call.function, ROLLED_BACK)
                    continue
                call.level = outer
            self._calls.append(call)

    def _end(self, session: Session, transaction: SessionTransaction) -> None:
        rows, calls = self._rows, self._calls
        committed = self._committed is transaction
        rolled_back = self._rolled_back is transaction
        failed = self._committing > 0  # the caller of commit() got the error
        self._clear()  # new entries belong to the next transaction
        if committed:
            if rows:
                _finish_writers(rows)
            if calls:
                call_all(session, [call.function for call in calls])
            return
        forgotten = not rolled_back and not failed
        for dropped in (*[row.thing for row in rows], *[call.function for call in calls]):
            _report(dropped, NOT_COMMITTED if forgotten else ROLLED_BACK)
        if forgotten:
            _warn_forgotten([call.function for call in calls])
            if rows:
                _report_discarded(len(rows))

    def __del__(self) -> None:
        """Report the entries of a session that was garbage-collected with an open transaction."""
        rows = getattr(self, "_rows", ())  # an interrupted __init__ leaves it out
        calls = self.waiting() if hasattr(self, "_calls") else []
        for dropped in (*[row.thing for row in rows], *calls):
            _report(dropped, NOT_COMMITTED)
        if not sys.is_finalizing():
            _warn_forgotten(calls)
        if rows and not sys.is_finalizing():
            _log.error(_discarded(len(rows), "that was thrown away"))


def buffer_of(session: Session) -> TransactionBuffer:
    """Return the buffer of ``session``."""
    buffer: TransactionBuffer | None = session.info.get(_KEY)
    if buffer is None:
        listen_to_sessions()
        buffer = session.info[_KEY] = TransactionBuffer()
    return buffer


def _level(session: Session) -> SessionTransaction:
    """Return the innermost savepoint, or the transaction outside a savepoint."""
    level = session.get_nested_transaction() or session.get_transaction()
    if level is None:
        message = "the session has not begun a transaction"
        raise RuntimeError(message)
    return level


def _boundary(transaction: SessionTransaction) -> SessionTransaction:
    """Return the savepoint or outermost transaction that contains a flush's ``transaction``."""
    while transaction.parent is not None and not transaction.nested:
        transaction = transaction.parent
    return transaction


def _unwritten(rows: Iterable[_BufferedRow]) -> list[_BufferedRow]:
    return [entry for entry in rows if entry.written_in is None and not entry.closed]


def _by_writer(rows: Iterable[_BufferedRow]) -> dict[Writer, list[Any]]:
    groups: dict[Writer, list[Any]] = {}
    for entry in rows:
        groups.setdefault(entry.writer, []).append(entry.thing)
    return groups


def _finish_writers(rows: Sequence[_BufferedRow]) -> None:
    """Pass late rows to their writers, and report the commit to all writers. Log their errors."""
    for writer, late in _by_writer(_unwritten(rows)).items():
        try:
            writer.write_late(late)
        except Exception:  # noqa: BLE001 - the caller's commit has succeeded
            _log.exception("%d durable deliveries came after the commit and are lost", len(late))
    for writer in _by_writer(entry for entry in rows if entry.written_in is not None):
        try:
            writer.committed()
        except Exception:  # noqa: BLE001 - the caller's commit has succeeded
            _log.exception("a writer failed after the commit of its rows")


def _report(dropped: Any, state: str) -> None:
    """Show observers what happened to an entry of the buffer, if they look at its send."""
    report = getattr(dropped, "report", None)
    if report is not None:
        report(state)


def warn_forgotten(sessions: Iterable[Session]) -> None:
    """Warn about receivers that wait for a commit of sessions that are no longer in use."""
    for session in sessions:
        buffer: TransactionBuffer | None = session.info.get(_KEY)
        if buffer is not None:
            _warn_forgotten(buffer.waiting(), "the app context has ended")


def _warn_forgotten(
    functions: Sequence[Callable[[], object]], how: str = "the session was closed"
) -> None:
    """Warn in strict mode about receivers that wait for a commit that never comes."""
    if not functions or not is_strict() or sys.exc_info()[0] is not None:
        return
    names = ", ".join(dict.fromkeys(map(describe, functions)))
    strict.warn(
        f"{names} waited for a commit, but {how} without a commit or a rollback; commit after the "
        "send"
    )


def _report_discarded(count: int) -> None:
    message = _discarded(count, "that was closed without a commit or a rollback")
    if sys.exc_info()[0] is not None:  # this error already shows that nothing was committed
        _log.warning(message)
        return
    if is_strict():
        raise OutboxError(message)
    _log.error(message)


def _discarded(count: int, how: str) -> str:
    return (
        f"{count} durable {'delivery was' if count == 1 else 'deliveries were'} recorded in a "
        f"session {how}, so no worker will run them. Perhaps the send came after the commit, in a "
        "transaction that reading an attribute began: send before the commit, or commit again"
    )


# -- the hooks -----------------------------------------------------------------------------------


def before_commit(session: Session) -> None:
    """Write the buffered rows. Rows that are added later are written at once."""
    buffer_of(session).before_commit(session)


def after_commit(session: Session) -> None:
    """Note a commit of ``session``, or the release of a savepoint."""
    buffer_of(session).after_commit(session)


def after_rollback(session: Session) -> None:
    """Note a rollback of ``session``, or of a savepoint."""
    buffer_of(session).after_rollback(session)


def after_transaction_end(session: Session, transaction: SessionTransaction) -> None:
    """Move, call or drop the entries of a transaction that has ended."""
    if (buffer := session.info.get(_KEY)) is not None:
        buffer.after_end(session, transaction)


def listen_to_sessions() -> None:
    """Listen to the events of all sessions of this process. Imports SQLAlchemy.

    Call this before threads use sessions, because SQLAlchemy's lists of listeners must not change
    while another thread iterates over them.
    """
    global _listening  # noqa: PLW0603 - the listeners are global to the process
    with _changing.lock:
        if _listening:
            return
        from sqlalchemy import event  # noqa: PLC0415 - SQLAlchemy is optional
        from sqlalchemy.orm import Session  # noqa: PLC0415 - SQLAlchemy is optional

        event.listen(Session, "before_commit", before_commit)
        # First in the list: the work of other listeners belongs to the next transaction.
        for hook in (after_commit, after_rollback, after_transaction_end):
            event.listen(Session, hook.__name__, hook, insert=True)
        _listening = True


_listening = False
_changing = ForkSafeLock()
