"""The database with the deliveries, and its store, for the commands.

This module needs SQLAlchemy. :mod:`aldis.cli._database` imports it when a command needs a database,
because SQLAlchemy may be missing, and its import takes longer than most commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    create_engine,
    make_url,
    select,
    type_coerce,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.types import NullType

from aldis.cli._database_errors import (
    DatabaseError,
    database_advice,
    database_errors,
    driver_advice,
    url_problem,
)
from aldis.durable.outbox import Outbox
from aldis.durable.store._async_bridge import call_in_greenlet
from aldis.durable.store.sql.connection import Database, is_in_memory, kind_of
from aldis.durable.store.sql.corrupt_rows import as_moment
from aldis.durable.store.sql.migrate import check
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.store.sql.tables import now, tables
from aldis.errors import AldisError

__all__ = [
    "DatabaseTarget",
    "LiveWorker",
    "StoreClient",
    "dialect_of",
    "is_in_memory",
    "journal_mode",
    "outbox_target",
    "url_target",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DatabaseTarget:
    """The database and the tables of an outbox.

    Attributes:
        engine: The engine; for an async engine, its sync engine.
        prefix: The prefix of the tables' names.
        schema: The database schema of the tables, or ``None``.
    """

    engine: Engine
    prefix: str
    schema: str | None

    def __str__(self) -> str:
        return f"{self.schema + '.' if self.schema else ''}{self.prefix}* in {self.address}"

    @property
    def address(self) -> str:
        """The database's URL without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    def json(self) -> dict[str, Any]:
        """Return the target as the documented schemas have it."""
        return {"database": self.address, "database_schema": self.schema, "prefix": self.prefix}

    def call(self, function: Callable[[Engine | Connection], T]) -> T:
        """Return ``function(engine)``, or ``function(connection)`` if the engine is async.

        What the function does on the connection is committed.

        Raises:
            DatabaseError: The database cannot be reached.
        """
        if not self.engine.dialect.is_async:
            return function(self.engine)
        return asyncio.run(call_in_greenlet(lambda: self._call_on_connection(function)))

    def _call_on_connection(self, function: Callable[[Engine | Connection], T]) -> T:
        try:
            with self.engine.begin() as connection:
                return function(connection)
        except (SQLAlchemyError, OSError) as error:
            message = f"the database {self.address} cannot be reached: {error}"
            raise DatabaseError(message) from error
        finally:
            self.engine.dispose()

    def check_tables(self, *, columns: bool = False) -> None:
        """Raise an error if the tables do not fit this version of aldis.

        Raises:
            SchemaError: They do not.
        """
        self.call(lambda bind: check(bind, self.prefix, self.schema, columns=columns))


def outbox_target(outbox: Any, name: str, prefix: str | None) -> DatabaseTarget:
    """Return the database of ``outbox``, which the messages call ``name``.

    Raises:
        DatabaseError: The object is not an outbox, or its deliveries are not in a database.
    """
    if not isinstance(outbox, Outbox):
        raise DatabaseError(
            f"{name} is not an outbox but an object of type {type(outbox).__name__}"
        )
    try:
        store = outbox.store
    except AldisError as error:
        raise DatabaseError(f"the database of {name} is unknown: {error}") from error
    if not isinstance(store, SqlStore):
        raise DatabaseError(
            f"{name} keeps deliveries in a {type(store).__name__}, which no other process sees"
        )
    return DatabaseTarget(store.engine, prefix or store.prefix, store.schema)


def dialect_of(url: str) -> str:
    """Return the name of the database system in ``url``; its driver may be missing.

    Raises:
        DatabaseError: There is no such system, or it cannot keep deliveries.
    """
    with _url_errors(url):
        dialect = make_url(url).get_dialect().name
    with database_errors():
        kind_of(dialect)
    return dialect


def url_target(url: str, prefix: str) -> DatabaseTarget:
    """Return the database with this URL.

    Raises:
        DatabaseError: There is no such system, it cannot keep deliveries, or a driver is missing.
    """
    dialect_of(url)
    with _url_errors(url):
        return DatabaseTarget(create_engine(url), prefix, None)


@contextmanager
def _url_errors(url: str) -> Iterator[None]:
    """Explain in one line what is wrong with a URL, or which driver it needs."""
    try:
        yield
    except (NoSuchModuleError, ArgumentError, ValueError) as error:
        advice = database_advice(error) if "greenlet" in str(error) else url_problem(url)
        raise DatabaseError(advice or str(error)) from error
    except ImportError as missing:
        advice = driver_advice(missing.name or "", url.partition(":")[0])
        raise DatabaseError(advice or database_advice(missing) or str(missing)) from missing


def journal_mode(bind: Engine | Connection) -> str:
    """Return the journal mode of an SQLite database in lower case."""
    if isinstance(bind, Engine):
        with bind.connect() as connection:
            return journal_mode(connection)
    return str(bind.exec_driver_sql("PRAGMA journal_mode").scalar()).lower()


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that is registered in the database.

    Attributes:
        lease: The id of its lease, as in ``Delivery.worker``.
        name: Its name.
        expires_in: Seconds until its lease expires; negative once it has expired.
    """

    lease: str
    name: str
    expires_in: float


class StoreClient:
    """Calls the store of a database, in an event loop if its driver is async."""

    def __init__(self, target: DatabaseTarget) -> None:
        self.target = target
        self._store = SqlStore(target.engine, prefix=target.prefix, schema=target.schema)
        self._runner: asyncio.Runner | None = None
        if target.engine.dialect.is_async:
            self._runner = asyncio.Runner()

    def close(self) -> None:
        """Close the connections."""
        self.call(lambda _: self.target.engine.dispose())
        if self._runner is not None:
            self._runner.close()

    def call(self, function: Callable[[SqlStore], T]) -> T:
        """Return ``function(store)``.

        Raises:
            DatabaseError: The database is unavailable or rejected the operation.
        """
        with database_errors():
            if self._runner is None:
                return function(self._store)
            try:
                return self._runner.run(call_in_greenlet(lambda: function(self._store)))
            except OSError as error:  # asyncpg raises it if the server does not answer
                message = f"the database {self.target.address} cannot be reached: {error}"
                raise DatabaseError(message) from error

    def batches(self, begin: Callable[[SqlStore], Iterator[int]]) -> Iterator[int]:
        """Yield the sizes of the batches that ``begin(store)`` changes one by one."""
        steps = self.call(begin)
        while (size := self.call(lambda _: next(steps, None))) is not None:
            yield size

    def _read(self, function: Callable[[Connection], T]) -> T:
        return self.call(lambda _: Database(self.target.engine).read(function))

    def now(self) -> datetime:
        """Return the database's time."""
        return as_moment(self._read(lambda connection: connection.scalar(select(now()))))

    def state_of(self, number: int) -> Any:
        """Return the state of the delivery with this id, known to aldis or not; else ``None``."""
        rows = tables(MetaData(schema=self.target.schema), self.target.prefix).deliveries.c
        chosen = select(type_coerce(rows.state, NullType())).where(rows.id == number)
        return self._read(lambda connection: connection.scalar(chosen))

    def signals(self) -> set[str]:
        """Return the names of the signals that have deliveries."""
        rows = tables(MetaData(schema=self.target.schema), self.target.prefix).deliveries.c
        chosen = select(rows.signal).distinct()
        return set(self._read(lambda connection: connection.scalars(chosen).all()))

    def workers(self) -> list[LiveWorker]:
        """Return the registered workers, by name."""
        workers = tables(MetaData(schema=self.target.schema), self.target.prefix).workers.c
        chosen = select(workers.id, workers.name, workers.expires_at, now()).order_by(
            workers.name, workers.started_at
        )
        return [
            LiveWorker(
                str(lease),
                str(name),
                (as_moment(expires) - as_moment(present)).total_seconds(),
            )
            for lease, name, expires, present in self._read(
                lambda connection: connection.execute(chosen).all()
            )
        ]
