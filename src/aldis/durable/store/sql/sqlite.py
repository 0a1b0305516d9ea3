"""What SQLite needs before a rollback takes back all that it should.

Python's ``sqlite3`` begins a transaction only before the first INSERT, UPDATE or DELETE. What a
savepoint released before that is committed then, and a later rollback leaves it there. So the
engine is told to say BEGIN itself, as SQLAlchemy's documentation of the dialect describes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from aldis.errors import OutboxError

__all__ = ["BEGIN", "adopt", "is_in_memory", "is_not_utf8", "lenient_text", "prepare", "use_wal"]

#: The execution option that says how a transaction begins: "DEFERRED" or "IMMEDIATE".
BEGIN: Final = "aldis_begin"

#: What marks a connection, in its ``info``, that begins its transactions here.
_OURS: Final = "aldis.begins"


def prepare(engine: Engine, *, immediate: bool) -> None:
    """Have ``engine`` begin its transactions with BEGIN; does nothing if it does already.

    Args:
        engine: An engine for SQLite. One that begins its transactions itself is left alone.
        immediate: Take the write lock at the beginning. Otherwise a transaction that reads, while
            another connection commits, and then writes, fails with "database is locked" at once.
    """
    if not event.contains(engine, "begin", _begin):
        event.listen(engine, "begin", _begin)
    if immediate:
        engine.update_execution_options(**{BEGIN: "IMMEDIATE"})


def _begin(connection: Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    if not connection.info.get(_OURS):
        if not _begins_late(raw):
            return
        raw.isolation_level = None
        connection.info[_OURS] = True
    how = connection.get_execution_options().get(BEGIN, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")


def is_not_utf8(error: DBAPIError) -> bool:
    """Tell whether a text could not be read because its bytes are not UTF-8."""
    return "Could not decode to UTF-8" in str(error.orig)


@contextmanager
def lenient_text(connection: Connection) -> Iterator[None]:
    """Read texts in a ``with`` block even if their bytes are not UTF-8; such a byte is escaped.

    SQLite stores any bytes as text. One such row would fail each statement that reads it.
    """
    raw: Any = connection.connection.driver_connection
    before = raw.text_factory
    raw.text_factory = _decode
    try:
        yield
    finally:
        raw.text_factory = before


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def adopt(connection: Connection) -> None:
    """Have a transaction that began before :func:`prepare` roll back as a whole.

    Raises:
        OutboxError: A savepoint was its beginning, which SQLite would commit by itself.
    """
    raw: Any = connection.connection.dbapi_connection
    if connection.info.get(_OURS) or not _begins_late(raw):
        return
    if connection.in_nested_transaction():
        message = (
            "this transaction of SQLite may have begun with a savepoint, and would not roll back "
            "as a whole; name the engine to the outbox: Outbox(session, engine=engine)"
        )
        raise OutboxError(message)
    if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        raw.isolation_level = None
        connection.info[_OURS] = True
        connection.exec_driver_sql("BEGIN")


def _begins_late(raw: Any) -> bool:
    """Tell whether the driver begins transactions, in its old way: nobody has set it otherwise."""
    autocommit = getattr(raw, "autocommit", -1)  # new in Python 3.12; -1 is the old way
    return raw.isolation_level is not None and autocommit in (-1, None)


def is_in_memory(engine: Engine) -> bool:
    """Tell whether the database is gone with its connection, so that no other process sees it."""
    name = engine.url.database
    return not name or ":memory:" in name or "mode=memory" in str(engine.url)


def sync_less(connection: Connection) -> None:
    """Have commits of ``connection`` not wait for the disk, where that cannot harm the file.

    In WAL mode a file stays whole without: at worst, a power cut takes back the last commits.
    """
    if _pragma(connection, "journal_mode") == "wal":
        _pragma(connection, "synchronous = NORMAL")


def _pragma(connection: Connection, what: str) -> Any:
    """Return what SQLite says; through the driver's own cursor, outside of any transaction."""
    raw: Any = connection.connection.dbapi_connection
    cursor = raw.cursor()
    cursor.execute(f"PRAGMA {what}")
    answer = cursor.fetchone()
    cursor.close()
    return None if answer is None else answer[0]


def use_wal(engine: Engine) -> None:
    """Have the file written by way of a log, so that readers and the writer do not wait.

    It changes the file for good, for everybody who opens it.

    Raises:
        OutboxError: The file cannot be changed so.
    """
    with engine.connect() as connection:
        mode = str(_pragma(connection, "journal_mode = WAL"))
    if mode.lower() != "wal":
        message = f"the SQLite database {engine.url.database!r} stays in journal mode {mode!r}"
        raise OutboxError(message)
