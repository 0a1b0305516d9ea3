"""One database: its transactions, what is tried again, and its errors in words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from random import uniform
from threading import local
from time import sleep
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, func, true
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from aldis.durable.store.sql import sqlite
from aldis.errors import OutboxError, SchemaError

__all__ = ["Database", "in_words"]

T = TypeVar("T")

_log = logging.getLogger("aldis")

#: How often a transaction is begun anew after it met another one.
TRIES: Final = 8

#: What databases say when two transactions have met and one must begin anew: SQLSTATE of PostgreSQL
#: (serialization failure, deadlock), error numbers of MariaDB (changed row, lock wait, deadlock).
_CONFLICTS: Final = frozenset({"40001", "40P01", 1020, 1205, 1213})

_NO_TABLE: Final = ("no such table", "doesn't exist", "does not exist")
_NO_COLUMN: Final = ("no such column", "has no column", "unknown column")


class Database:
    """The transactions of an outbox's own, on the application's database.

    Args:
        engine: The application's engine. Its pool is used, and nothing else of it is changed.

    Attributes:
        kind: ``"sqlite"``, ``"postgresql"`` or ``"mysql"``, which MariaDB is as well.

    Raises:
        OutboxError: Deliveries cannot be kept in a database of this kind.
    """

    def __init__(self, engine: Engine) -> None:
        kind = {"mariadb": "mysql"}.get(engine.dialect.name, engine.dialect.name)
        if kind not in ("sqlite", "postgresql", "mysql"):
            message = f"an outbox is kept in SQLite, PostgreSQL, MariaDB or MySQL, not in {kind}"
            raise OutboxError(message)
        self.kind = kind
        self.engine = engine
        if kind == "sqlite":
            sqlite.prepare(engine, immediate=False)
            self._reading = engine.execution_options(**{sqlite.BEGIN: "DEFERRED"})
            self._writing = engine.execution_options(**{sqlite.BEGIN: "IMMEDIATE"})
        else:
            # A statement that is a transaction by itself asks the server once, not three times.
            self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")
            # With REPEATABLE READ, MariaDB's locks would cover the gaps that senders insert into.
            self._writing = engine.execution_options(isolation_level="READ COMMITTED")
        self._kept = local()
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep connections for the calling thread while a ``with`` block runs.

        Setting up one that comes out of the pool may take longer than what it is for. What is
        written through them must be async_commit, as all is that a worker writes of its own: SQLite
        does not wait for the disk then.
        """
        connections: dict[Engine, Connection] = {}
        self._kept.connections = connections
        try:
            yield
        finally:
            del self._kept.connections
            for connection in connections.values():
                with suppress(Exception):  # whatever the driver raises: it is not needed any more
                    connection.close()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` returns, called with a connection to read from."""
        return self._run(self._reading, work)

    def write(self, work: Callable[[Connection], T], *, async_commit: bool = False) -> T:
        """Return what ``work`` returns, called in a transaction that is then committed.

        It is called again, in a new one, after a conflict with another transaction.

        Args:
            work: What to do.
            async_commit: Nothing is lost if the server dies at once and forgets the transaction: it
                need not wait for the disk. So are claims and completions: what was forgotten of
                them is delivered again.
        """
        if not async_commit or self.kind != "postgresql":
            return self._run(self._writing, work)

        def work_asynchronously(connection: Connection) -> T:
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
            return work(connection)

        return self._run(self._writing, work_asynchronously)

    @property
    def async_commit(self) -> ColumnElement[bool]:
        """A condition, always true, that makes the one statement it is part of async_commit.

        It is for PostgreSQL, and for statements in :meth:`autocommit`: it sets the option for their
        transaction, in the same round trip.
        """
        return func.set_config("synchronous_commit", "off", true()) == "off"

    def autocommit(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` returns, whose one statement is a transaction by itself."""
        return self._run(self._reading, work)

    def _run(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        lenient = False
        with translated(self.kind):
            for attempt in range(TRIES):
                try:
                    with (
                        self._transaction(engine) as connection,
                        sqlite.lenient_text(connection) if lenient else nullcontext(),
                    ):
                        return work(connection)
                except DBAPIError as error:
                    if self.kind == "sqlite" and not lenient and sqlite.is_not_utf8(error):
                        lenient = True
                        continue
                    if attempt + 1 == TRIES or not is_conflict(error):
                        raise
                    sleep(uniform(0, 0.01 * 2**attempt))  # noqa: S311 - it spreads load
                except self._driver_error as error:
                    # SQLAlchemy lets those pass that come while it sets up a connection.
                    said = " ".join(str(error).split())
                    message = f"the outbox's database ({self.kind}) cannot be reached ({said})"
                    raise OutboxError(message) from error
        raise AssertionError  # the last attempt returns or raises

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        connections: dict[Engine, Connection] | None = getattr(self._kept, "connections", None)
        if connections is None and self.kind == "mysql":
            # Not by an option of the connection: those are reset when it goes back to the pool, by
            # statements. Where one of them fails, the pool has lost a place for good.
            with self.engine.begin() as connection:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                connection.exec_driver_sql("START TRANSACTION")  # also where it is AUTOCOMMIT
                yield connection
        elif connections is None:
            with engine.begin() as connection:
                yield connection
        else:
            known = connections.get(engine)
            if known is None or known.invalidated:  # which would come back without its options
                known = connections[engine] = engine.connect()
                known.detach()  # see below
                if self.kind == "sqlite":
                    sqlite.sync_less(known)
            with known.begin():
                yield known


def is_conflict(error: DBAPIError) -> bool:
    """Tell whether a transaction failed only because it met another one."""
    original: Any = error.orig
    code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    number = original.args[0] if original is not None and original.args else None
    return code in _CONFLICTS or (isinstance(number, int) and number in _CONFLICTS)


@contextmanager
def translated(kind: str) -> Iterator[None]:
    """Raise what the database says as an error of the outbox that says what to do.

    Raises:
        SchemaError: A table or a column is missing.
        OutboxError: Anything else that the database refuses.
    """
    try:
        yield
    except DBAPIError as error:
        raise in_words(error, kind) from error
    except SQLAlchemyError as error:
        message = f"the outbox cannot use its database: {error}"
        raise OutboxError(message) from error
    except UnicodeEncodeError as error:  # of a driver that encodes as the database does
        message = f"the outbox's database ({kind}) is not in UTF-8, and cannot take this: {error}"
        raise OutboxError(message) from error


def in_words(error: DBAPIError, kind: str) -> OutboxError:
    """Return the error of the outbox for what a database has said."""
    said = " ".join(str(error.orig).split())
    lower = said.lower()
    if any(each in lower for each in _NO_COLUMN) or (
        "column" in lower and "does not exist" in lower
    ):
        return SchemaError(
            f"the outbox's tables are of another version of aldis ({said}): run 'aldis db check', "
            "which says which, and 'aldis db upgrade'"
        )
    if any(each in lower for each in _NO_TABLE):
        return SchemaError(
            f"the outbox's tables are not there ({said}): create them with 'aldis db upgrade', or "
            "add them to your own migrations"
        )
    return OutboxError(f"{_cause(lower, kind)} ({said}); nothing was changed")


def _cause(said: str, kind: str) -> str:
    if "readonly" in said or "read-only" in said or "read only" in said:
        return "the outbox's database cannot be written to, it is read-only"
    if "database is locked" in said or "database table is locked" in said:
        return (
            "the outbox's database is locked by another connection; SQLite has one writer at a "
            "time: keep transactions short, give the engine a longer timeout, or have it begin "
            "with BEGIN IMMEDIATE (Outbox(immediate=True))"
        )
    if "is full" in said or "no space" in said or "disk full" in said:
        return "the outbox's database is full"
    return f"the outbox's database ({kind}) refused"
