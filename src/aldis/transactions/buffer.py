"""What waits for the end of a session's transaction."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from aldis._compat import is_flushing
from aldis.core import is_strict
from aldis.core.process import ForkSafeLock
from aldis.errors import OutboxError
from aldis.transactions.new_transaction import call_all

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, SessionTransaction

__all__ = ["TransactionBuffer", "Writer", "buffer_of", "listen_to_sessions"]

_log = logging.getLogger("aldis")

#: Where a session keeps its buffer, in ``Session.info``.
_KEY: Final = "aldis.buffer"


class Writer(Protocol):
    """Writes what was collected, inside the transaction, just before it is committed."""

    def write(self, session: Session, rows: Sequence[Any]) -> None:
        """Write ``rows`` through ``session``, without ending its transaction.

        It is given a row again when the savepoint in which it was written has been rolled back and
        the row belongs to a transaction around that.
        """

    def written(self) -> None:
        """Be told that rows have been committed."""

    def write_late(self, rows: Sequence[Any]) -> None:
        """Write ``rows`` that came after the last moment to write them in the transaction.

        That is: when it was prepared, or committed already. In a transaction of their own; what
        this raises is logged, and the rows are lost.
        """


class _Row:
    """A row, and the transaction or savepoint that it belongs to.

    Attributes:
        level: Whose end decides about it.
        written_in: The transaction or savepoint in which it stands written.
        closed: Whether its savepoint was closed, neither released nor rolled back.
    """

    __slots__ = ("closed", "level", "thing", "writer", "written_in")

    def __init__(self, level: SessionTransaction, writer: Writer, thing: Any) -> None:
        self.level = level
        self.writer = writer
        self.thing = thing
        self.written_in: SessionTransaction | None = None
        self.closed = False


class _Call:
    """A function to be called, and the transaction or savepoint that it belongs to."""

    __slots__ = ("function", "level")

    def __init__(self, level: SessionTransaction, function: Callable[[], object]) -> None:
        self.level = level
        self.function = function


class TransactionBuffer:
    """What one session has collected in its present transaction.

    Each entry belongs to the savepoint in which it was added, goes over to the one around it when
    that is released, and is dropped when that, or anything around it, is rolled back. Rows are
    written in the order in which they came.
    """

    __slots__ = ("_calls", "_committed", "_committing", "_rolled_back", "_rows", "_wrote")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._rows: list[_Row] = []
        self._calls: list[_Call] = []
        self._committed: SessionTransaction | None = None
        self._rolled_back: SessionTransaction | None = None
        self._wrote = False  # whether the moment to write for the commit under way is over
        self._committing = 0  # how many commits have begun, of savepoints and what is around them

    def write(self, session: Session, writer: Writer, row: Any) -> None:
        """Have ``writer`` write ``row`` before the present transaction is committed.

        At once if that commit is under way: the caller runs in its flush, or before it.
        """
        entry = _Row(_level(session), writer, row)
        self._rows.append(entry)
        if self._wrote and entry.level.is_active:
            try:
                self._write(session)
            except BaseException:
                self._rows.remove(entry)  # its sender has the error
                raise

    def holds(self, writer: Writer) -> bool:
        """Tell whether a row of ``writer`` will be, or is, part of the present transaction."""
        return any(row.writer is writer and not row.closed for row in self._rows)

    def call(self, session: Session, function: Callable[[], object]) -> None:
        """Call ``function`` once the outermost transaction is committed, in a new one."""
        self._calls.append(_Call(_level(session), function))

    def _write(self, session: Session) -> None:
        """Write what is not written yet, in the present savepoint if there is one."""
        level = _level(session)
        while pending := _unwritten(self._rows):  # again: a flush in between may send
            writer = pending[0].writer
            entries = [entry for entry in pending if entry.writer is writer]
            for entry in entries:  # before it is true, for a flush in between may come here, too
                entry.written_in = level
            try:
                writer.write(session, [entry.thing for entry in entries])
            except BaseException:
                for entry in entries:
                    entry.written_in = None
                raise

    # -- what SQLAlchemy tells -------------------------------------------------------------------

    def before_commit(self, session: Session) -> None:
        """Write the rows, if the outermost transaction is about to be committed.

        Nobody says whose commit it is. While a savepoint is open it is taken for the savepoint's,
        until a second one begins before the first has ended: then it was of something around it,
        which comes here only once.
        """
        inner = session.get_nested_transaction() is not None and not self._committing
        try:
            if not inner:
                if _unwritten(self._rows) and not is_flushing(session):
                    session.flush()  # in which there may be sends, too: all at once is faster
                self._write(session)
                self._wrote = True
        finally:
            self._committing += 1

    def after_commit(self, session: Session) -> None:
        """Remember that the innermost transaction was committed, not rolled back."""
        self._committed = _level(session)

    def after_rollback(self, session: Session) -> None:
        """Remember that the innermost transaction was rolled back, not only closed."""
        self._rolled_back = _level(session)

    def after_end(self, session: Session, transaction: SessionTransaction) -> None:
        """Hand over, call or drop what belongs to the ``transaction`` that has ended."""
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
                    continue
                entry.closed = not committed  # and, should all be closed, reported as discarded
                entry.level = outer
            self._rows.append(entry)
        calls, self._calls = self._calls, []
        for call in calls:
            if call.level is savepoint:
                if not committed:
                    continue
                call.level = outer
            self._calls.append(call)

    def _end(self, session: Session, transaction: SessionTransaction) -> None:
        rows, calls = self._rows, self._calls
        committed = self._committed is transaction
        rolled_back = self._rolled_back is transaction
        failed = self._committing > 0  # and whoever wanted the commit has the error
        self._clear()  # what comes now belongs to the next transaction
        if committed:
            _tell_writers(rows)
            call_all(session, [call.function for call in calls])
        elif rows and not rolled_back and not failed:
            _tell_discarded(len(rows))

    def __del__(self) -> None:
        """Tell of rows whose session was neither ended nor closed, but forgotten."""
        if self._rows and not sys.is_finalizing():
            _log.error(_discarded(len(self._rows), "that was thrown away"))


def buffer_of(session: Session) -> TransactionBuffer:
    """Return the buffer of ``session``."""
    buffer: TransactionBuffer | None = session.info.get(_KEY)
    if buffer is None:
        listen_to_sessions()
        buffer = session.info[_KEY] = TransactionBuffer()
    return buffer


def _level(session: Session) -> SessionTransaction:
    """Return the innermost savepoint, else the transaction."""
    level = session.get_nested_transaction() or session.get_transaction()
    if level is None:
        message = "the session is in no transaction"
        raise RuntimeError(message)
    return level


def _boundary(transaction: SessionTransaction) -> SessionTransaction:
    """Return the savepoint or outermost transaction around ``transaction``, perhaps a flush's."""
    while transaction.parent is not None and not transaction.nested:
        transaction = transaction.parent
    return transaction


def _unwritten(rows: Iterable[_Row]) -> list[_Row]:
    return [entry for entry in rows if entry.written_in is None and not entry.closed]


def _by_writer(rows: Iterable[_Row]) -> dict[Writer, list[Any]]:
    groups: dict[Writer, list[Any]] = {}
    for entry in rows:
        groups.setdefault(entry.writer, []).append(entry.thing)
    return groups


def _tell_writers(rows: Sequence[_Row]) -> None:
    """Hand over what came too late, and tell of what has been committed; log what that raises."""
    for writer, late in _by_writer(_unwritten(rows)).items():
        try:
            writer.write_late(late)
        except Exception:  # noqa: BLE001 - the caller has committed: it is not theirs any more
            _log.exception("durable deliveries came after the commit and are lost: %d", len(late))
    for writer in _by_writer(entry for entry in rows if entry.written_in is not None):
        try:
            writer.written()
        except Exception:  # noqa: BLE001 - the same
            _log.exception("a writer failed after the commit of what it had written")


def _tell_discarded(count: int) -> None:
    message = _discarded(count, "that was closed without a commit or a rollback")
    if sys.exc_info()[0] is not None:  # by which somebody knows that nothing was committed
        _log.warning(message)
        return
    if is_strict():
        raise OutboxError(message)
    _log.error(message)


def _discarded(count: int, how: str) -> str:
    return (
        f"{count} durable {'delivery was' if count == 1 else 'deliveries were'} recorded in a "
        f"session {how}: nobody will run what was sent. Was it sent after the commit, in a "
        "transaction that reading an attribute began? Send before the commit, or commit again"
    )


# -- the hooks -----------------------------------------------------------------------------------


def before_commit(session: Session) -> None:
    """Write what ``session`` has collected; from here on it is written at once."""
    buffer_of(session).before_commit(session)


def after_commit(session: Session) -> None:
    """Note that ``session`` has committed, be it a savepoint."""
    buffer_of(session).after_commit(session)


def after_rollback(session: Session) -> None:
    """Note that ``session`` has rolled back, be it a savepoint."""
    buffer_of(session).after_rollback(session)


def after_transaction_end(session: Session, transaction: SessionTransaction) -> None:
    """Do with what was collected what the end of ``transaction`` demands."""
    if (buffer := session.info.get(_KEY)) is not None:
        buffer.after_end(session, transaction)


def listen_to_sessions() -> None:
    """Listen to every session of the process; imports SQLAlchemy.

    To be called early, before threads use sessions: SQLAlchemy's lists of who listens are not made
    for being changed while another thread goes through them.
    """
    global _listening  # noqa: PLW0603 - a fact about this process
    with _changing.lock:
        if _listening:
            return
        from sqlalchemy import event  # noqa: PLC0415 - who has a session has imported it
        from sqlalchemy.orm import Session  # noqa: PLC0415 - the same

        event.listen(Session, "before_commit", before_commit)
        # Before anybody else's: what they do with the session, or send, is of the next transaction.
        for hook in (after_commit, after_rollback, after_transaction_end):
            event.listen(Session, hook.__name__, hook, insert=True)
        _listening = True


_listening = False
_changing = ForkSafeLock()
