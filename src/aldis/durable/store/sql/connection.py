"""Runs transactions on the application's database.

SQLite needs preparation. Python's ``sqlite3`` begins a transaction only before the first INSERT,
UPDATE or DELETE. It commits a savepoint that was released earlier, and a later rollback does not
undo it. So the engine runs BEGIN itself, as SQLAlchemy's documentation of the dialect describes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from random import uniform
from threading import local
from time import sleep
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import URL, ColumnElement, Connection, Engine, event, func, true
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from aldis._compat import connections_of
from aldis.durable._log import get_logger
from aldis.durable.store.sql.errors import (
    Problem,
    explained,
    is_conflict,
    problem_of,
    translated,
)
from aldis.durable.store.sql.watch import StatementWatch
from aldis.errors import OutboxError

__all__ = [
    "SQLITE_BEGIN",
    "Database",
    "adopt_sqlite_transaction",
    "async_commit",
    "connection_of",
    "engines_of",
    "is_in_memory",
    "kind_of",
    "prepare_sqlite",
    "use_wal",
]

P = ParamSpec("P")
T = TypeVar("T")

_log = get_logger()

#: The databases that can keep deliveries: SQLAlchemy's names, and the names of their kinds here.
_KINDS: Final = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}

#: The execution option that chooses how SQLite begins a transaction: "DEFERRED" or "IMMEDIATE".
SQLITE_BEGIN: Final = "aldis_begin"

#: The key in a connection's ``info`` if this module begins its transactions.
_BEGINS_HERE: Final = "aldis.begins"

#: How often a transaction runs if it conflicts with others.
TRIES: Final = 8


def kind_of(dialect: str) -> str:
    """Return ``"sqlite"``, ``"postgresql"`` or ``"mysql"`` (MariaDB too) for a dialect's name.

    Raises:
        OutboxError: This database cannot keep deliveries.
    """
    kind = _KINDS.get(dialect)
    if kind is None:
        message = f"an outbox is kept in SQLite, PostgreSQL, MariaDB or MySQL, not in {dialect!r}"
        raise OutboxError(message)
    return kind


class Database:
    """Runs the outbox's own transactions on the application's database.

    Each method calls ``work(connection, *args)`` and returns its result. A conflict with another
    transaction ends in a new transaction and a new call.

    Args:
        engine: The application's engine. Only its pool is used; its options do not change.

    Attributes:
        kind: The result of :func:`kind_of`.
        watch: Breaks connections on which a worker's statement takes too long.
        generation: Changes when connections that are older than the change must not be used again.

    Raises:
        OutboxError: This database cannot keep deliveries.
    """

    def __init__(self, engine: Engine) -> None:
        self.kind: str = kind_of(engine.dialect.name)
        self.engine = engine
        if self.kind == "sqlite":
            prepare_sqlite(engine, immediate=False)
            self._reading = engine.execution_options(**{SQLITE_BEGIN: "DEFERRED"})
            self._writing = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        else:
            # In autocommit mode, a single statement needs one round trip instead of three.
            self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")
            # In REPEATABLE READ, MariaDB would also lock the gaps into which senders insert.
            self._writing = engine.execution_options(isolation_level="READ COMMITTED")
        self._kept = local()
        self._is_shared = isinstance(engine.pool, (StaticPool, SingletonThreadPool))
        self._has_failed = False
        self.watch: StatementWatch = StatementWatch(engine)
        self.generation: int = 0
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call ``work`` with a connection for reading."""
        return self._run(self._reading, work, *args, **kwargs)

    def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call ``work`` in a transaction and commit it."""
        return self._run(self._writing, work, *args, **kwargs)

    def write_async_commit(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call ``work`` in a transaction whose commit does not wait for PostgreSQL's disk.

        If the server crashes at once, it may forget the transaction. Claims and completions can
        accept that: the delivery runs again.
        """
        if self.kind != "postgresql":
            return self._run(self._writing, work, *args, **kwargs)

        def run(connection: Connection) -> T:
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
            return work(connection, *args, **kwargs)

        return self._run(self._writing, run)

    def autocommit(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call ``work``, whose single statement is a transaction by itself."""
        return self._run(self._reading, work, *args, **kwargs)

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep the calling thread's connections open during a ``with`` block.

        Preparing a connection from the pool can take longer than the statement. On SQLite, commits
        on these connections do not wait for the disk, so the block must only write claims and
        completions.

        After an error that is not a conflict, no thread uses its kept connections again: a
        connection to a server that has become read-only, for example, would stay read-only.
        """
        if self._is_shared or self.engine.dialect.is_async:
            # A pool with one connection needs it back. A thread cannot keep an event loop's one.
            yield
            return
        kept = self._kept.connections = _KeptConnections(self.generation)
        try:
            yield
        finally:
            del self._kept.connections
            kept.close()

    def drop_connections(self) -> None:
        """Use none of the present connections for a new transaction.

        The call is in the engine's event loop if the engine is async.
        """
        self._drop(close=True)

    def _drop(self, *, close: bool) -> None:
        self.generation += 1
        if not self._is_shared:  # otherwise the pool may hold the only connection to its database
            self.engine.dispose(close=close)

    def break_stalled(self, seconds: float) -> int:
        """Break connections on which a transaction takes longer than ``seconds``.

        Returns:
            The number of broken connections.
        """
        count = self.watch.break_stalled(seconds)
        if count:
            # The connections in the pool do not work either. An async driver would wait for the
            # server while it closes one.
            self._drop(close=not self.engine.dialect.is_async)
        return count

    def _is_worker(self) -> bool:
        return hasattr(self._kept, "connections") or self.engine.dialect.is_async

    def _note_error(self, error: Exception) -> None:
        """Stop trusting the kept connections, of all threads."""
        self._has_failed = True
        if self._is_worker() and problem_of(error) is Problem.READ_ONLY:
            self.drop_connections()  # the pool's connections are read-only, too
        else:
            self.generation += 1

    def _note_write(self) -> None:
        """After an error: replace the connections that were opened before this success.

        While the server failed over, another thread may have opened a connection to the old server.
        """
        if self._has_failed:
            self._has_failed = False
            self.generation += 1

    def _run(
        self,
        engine: Engine,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        attempt = 0
        while True:
            try:
                result = self._run_once(engine, work, *args, **kwargs)
            except DBAPIError as error:
                if attempt + 1 < TRIES and is_conflict(error):
                    sleep(uniform(0, 0.01 * 2**attempt))  # noqa: S311 - it only spreads the load
                    attempt += 1
                elif _is_not_utf8(error):
                    with translated(self.kind):
                        return self._run_once(engine, _with_lenient_text, work, args, kwargs)
                else:
                    self._note_error(error)
                    raise explained(error, self.kind) from error
            # SQLAlchemy does not wrap the driver's errors while it prepares a connection.
            except (SQLAlchemyError, UnicodeEncodeError, self._driver_error) as error:
                self._note_error(error)
                raise explained(error, self.kind) from error
            else:
                if engine is self._writing:
                    self._note_write()
                return result

    def _run_once(
        self,
        engine: Engine,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        kept: _KeptConnections | None = getattr(self._kept, "connections", None)
        if kept is not None:
            connection = kept.get(engine, self.generation)
            if connection is None:
                connection = kept.open(engine)
                if self.kind == "sqlite":
                    _commit_without_sync(connection)
            with self.watch.own(connection), connection.begin():
                return work(connection, *args, **kwargs)
        if self.kind == "mysql":
            # Not an option of the connection: the pool resets options with statements, and if one
            # of these fails, the pool loses a place for good.
            with self._begun(self.engine) as connection:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                connection.exec_driver_sql("START TRANSACTION")  # the engine may use AUTOCOMMIT
                return work(connection, *args, **kwargs)
        with self._begun(engine) as connection:
            return work(connection, *args, **kwargs)

    @contextmanager
    def _begun(self, engine: Engine) -> Iterator[Connection]:
        """Begin a transaction on a connection of the pool."""
        with engine.connect() as connection:
            watch = self.watch.own(connection) if self._is_worker() else nullcontext()
            with watch, connection.begin():
                yield connection


class _KeptConnections:
    """The connections that a thread keeps open, one for each kind of transaction.

    Args:
        generation: The generation of the database in which they are opened.
    """

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._connections: dict[Engine, Connection] = {}

    def get(self, engine: Engine, generation: int) -> Connection | None:
        """Return the open connection of an engine, or ``None`` if a new one must be opened."""
        if generation != self._generation:
            self.close()
            self._generation = generation
        connection = self._connections.get(engine)
        # An invalidated connection would reconnect without its options.
        return None if connection is None or connection.invalidated else connection

    def open(self, engine: Engine) -> Connection:
        """Open a connection that does not return to the pool."""
        connection = self._connections[engine] = engine.connect()
        connection.detach()
        return connection

    def close(self) -> None:
        """Close the connections."""
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            with suppress(Exception):  # any error of the driver: the connection is not needed
                connection.close()


def async_commit() -> ColumnElement[bool]:
    """Return a condition that is always true and makes its statement commit asynchronously.

    It is for PostgreSQL and for :meth:`Database.autocommit`: it sets the option for the statement's
    transaction in the same round trip.
    """
    return func.set_config("synchronous_commit", "off", true()) == "off"


# -- sessions --------------------------------------------------------------------------------------


def engines_of(session: Session) -> set[Engine]:
    """Return the engines that take part in the transaction of ``session``."""
    root = session.get_transaction()
    if root is None:
        return set()
    return {connection.engine for connection in connections_of(root)}


def connection_of(handle: Session | Connection, engine: Engine) -> Connection:
    """Return the connection of a session, or a connection itself, to the database of ``engine``.

    Raises:
        OutboxError: The transaction uses another database, or several: no commit covers them all.
    """
    if isinstance(handle, Connection):
        if handle.engine.url != engine.url:
            raise OutboxError(_several_databases([handle.engine.url, engine.url]))
        return handle
    # The session's engine may be a copy of this one, with other options.
    own = len(engines_of(handle)) == 1 or _is_bound_to(handle, engine)
    connection = handle.connection(bind_arguments=None if own else {"bind": engine})
    urls = {each.url for each in engines_of(handle)} | {engine.url}
    if len(urls) > 1:
        raise OutboxError(_several_databases(sorted(urls, key=str)))
    return connection


def _is_bound_to(session: Session, engine: Engine) -> bool:
    bind = session.bind
    return bind is not None and bind.engine.url == engine.url


def _several_databases(urls: Sequence[URL]) -> str:
    names = " and ".join(repr(url) for url in urls)
    return (
        f"a delivery cannot be recorded atomically across databases: this transaction uses {names};"
        " record it in a session on that database (with outbox.using(session): ...)"
    )


# -- SQLite ----------------------------------------------------------------------------------------


def prepare_sqlite(engine: Engine, *, immediate: bool) -> None:
    """Make an SQLite engine begin its transactions with BEGIN, unless it does so already.

    Args:
        engine: The engine. If its application configured how transactions begin, that stays.
        immediate: Whether to take the write lock with BEGIN. Otherwise a transaction that reads
            first fails with "database is locked" if it writes after another commit.
    """
    if not event.contains(engine, "begin", _begin):
        event.listen(engine, "begin", _begin)
    if immediate:
        engine.update_execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})


def _begin(connection: Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    if not connection.info.get(_BEGINS_HERE):
        if not _begins_late(raw):
            return
        raw.isolation_level = None
        connection.info[_BEGINS_HERE] = True
    how = connection.get_execution_options().get(SQLITE_BEGIN, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")


def adopt_sqlite_transaction(connection: Connection) -> None:
    """Make a transaction that began before :func:`prepare_sqlite` roll back as a whole.

    Raises:
        OutboxError: The transaction is inside a savepoint, which SQLite would commit by itself.
    """
    raw: Any = connection.connection.dbapi_connection
    if connection.info.get(_BEGINS_HERE) or not _begins_late(raw):
        return
    if connection.in_nested_transaction():
        message = (
            "this transaction of SQLite may have begun with a savepoint, and would not roll back "
            "as a whole; name the engine to the outbox: Outbox(session, engine=engine)"
        )
        raise OutboxError(message)
    if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        raw.isolation_level = None
        connection.info[_BEGINS_HERE] = True
        connection.exec_driver_sql("BEGIN")


def _begins_late(raw: Any) -> bool:
    """Return whether the driver begins transactions in its default way, only before a write."""
    autocommit = getattr(raw, "autocommit", -1)  # new in Python 3.12; -1 is the default way
    return raw.isolation_level is not None and autocommit in (-1, None)


def is_in_memory(engine: Engine) -> bool:
    """Return whether an SQLite database is in memory, so that no other process can see it."""
    name = engine.url.database
    return not name or ":memory:" in name or "mode=memory" in str(engine.url)


def use_wal(engine: Engine) -> None:
    """Switch an SQLite file to a write-ahead log, so that readers and the writer do not wait.

    The change is permanent and holds for every program that opens the file.

    Raises:
        OutboxError: The file cannot be switched.
    """
    with engine.connect() as connection:
        mode = str(_pragma(connection, "journal_mode = WAL"))
    if mode.lower() != "wal":
        message = f"the SQLite database {engine.url.database!r} stays in journal mode {mode!r}"
        raise OutboxError(message)


def _commit_without_sync(connection: Connection) -> None:
    """Let commits not wait for the disk if the file uses a write-ahead log.

    Such a file stays intact: at worst, a power cut takes back the last commits.
    """
    if _pragma(connection, "journal_mode") == "wal":
        _pragma(connection, "synchronous = NORMAL")


def _pragma(connection: Connection, what: str) -> Any:
    """Run a PRAGMA with the driver's cursor, outside of any transaction; return its answer."""
    raw: Any = connection.connection.dbapi_connection
    cursor = raw.cursor()
    cursor.execute(f"PRAGMA {what}")
    answer = cursor.fetchone()
    cursor.close()
    return None if answer is None else answer[0]


def _is_not_utf8(error: DBAPIError) -> bool:
    return "Could not decode to UTF-8" in str(error.orig)


def _with_lenient_text(
    connection: Connection, work: Callable[..., T], args: Sequence[Any], kwargs: dict[str, Any]
) -> T:
    """Call ``work`` and read text even if its bytes are not UTF-8; escape such bytes.

    SQLite stores any bytes as text. One such row would fail every statement that reads it.
    """
    raw: Any = connection.connection.driver_connection
    before = raw.text_factory
    raw.text_factory = _decode
    try:
        return work(connection, *args, **kwargs)
    finally:
        raw.text_factory = before


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")
