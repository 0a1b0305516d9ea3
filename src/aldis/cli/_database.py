"""From ``--app``, ``--outbox`` or ``--url`` to the database with the deliveries.

Imports inside functions: SQLAlchemy may be missing, and would cost every other command a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from aldis._optional import needs
from aldis.cli._app import load_app, load_object
from aldis.cli._drivers import database_advice, driver_advice, url_problem
from aldis.cli._env import env_file_option, load_env
from aldis.cli._options import APP, app_option, traceback_option
from aldis.cli._output import short_repr
from aldis.errors import AldisError, MissingExtraError

if TYPE_CHECKING:
    from asyncio import Runner

    from sqlalchemy import Connection, Engine

    from aldis.durable.store.sql.store import SqlStore

__all__ = [
    "DATABASE_OPTIONS",
    "DEFAULT_PREFIX",
    "DatabaseError",
    "DatabaseTarget",
    "LiveWorker",
    "StoreClient",
    "app_context",
    "database_errors",
    "dialect_of",
    "durable_receiver_names",
    "find_database",
    "open_store",
    "outbox_of",
    "outbox_option",
    "refuse_memory",
    "refuse_missing_file",
    "refuse_missing_folder",
    "target_of",
    "wal_advice",
]

T = TypeVar("T")

DEFAULT_PREFIX: Final = "aldis_"

outbox_option = click.option(
    "--outbox", metavar="MODULE:NAME", help="The outbox, if the app is not a Flask app."
)

#: The options that name a database; :func:`find_database` takes their values.
DATABASE_OPTIONS: Final = (
    app_option,
    env_file_option,
    outbox_option,
    click.option("--url", metavar="URL", help="The database, as SQLAlchemy writes it."),
    click.option("--prefix", metavar="TEXT", help="The prefix of the tables' names."),
    traceback_option,
)


class DatabaseError(click.ClickException):
    """The database is unavailable or rejected the operation."""

    exit_code = 2


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise each error of aldis in a ``with`` block as a :class:`DatabaseError`, in one line."""
    try:
        yield
    except (AldisError, ValueError) as error:
        raise DatabaseError(str(error)) from error


# -- which database --------------------------------------------------------------------------------


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
        # Flask imports this module for each of its commands.
        import asyncio  # noqa: PLC0415 - it would cost Flask's commands 30 ms

        from aldis.durable.store._async_bridge import call_in_greenlet  # noqa: PLC0415 - SQLAlchemy may be missing

        return asyncio.run(call_in_greenlet(lambda: self._call_on_connection(function)))

    def _call_on_connection(self, function: Callable[[Engine | Connection], T]) -> T:
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - SQLAlchemy may be missing

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
        from aldis.durable.store.sql.migrate import check  # noqa: PLC0415 - SQLAlchemy may be missing

        self.call(lambda bind: check(bind, self.prefix, self.schema, columns=columns))


def find_database(
    ctx: click.Context, *, url: str | None, outbox: str | None, prefix: str | None, traceback: bool
) -> DatabaseTarget:
    """Return the database that the command line names.

    Args:
        ctx: The context, with the value of ``--app``.
        url: The value of ``--url``.
        outbox: The value of ``--outbox``.
        prefix: The value of ``--prefix``; by default the outbox's own.
        traceback: Whether to write the traceback of an import that failed.

    Raises:
        DatabaseError: There is no such database.
        AppError: The app cannot be loaded.
    """
    named = [
        option
        for option, value in (("--app", ctx.meta.get(APP)), ("--outbox", outbox), ("--url", url))
        if value is not None
    ]
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)} both name a database: leave one out")
    if url is not None:
        load_env(ctx)  # the driver reads variables such as PGPASSWORD
        return DatabaseTarget(_engine(url), prefix or DEFAULT_PREFIX, None)
    if outbox is not None:
        return target_of(load_object(ctx, outbox, traceback=traceback), outbox, prefix)
    app = load_app(ctx, traceback=traceback)
    # Flask-SQLAlchemy's session has an engine only in the app's context.
    with app_context(app):
        return target_of(outbox_of(app), "the app's outbox", prefix)


def outbox_of(app: Any) -> Any:
    """Return the outbox of ``app``.

    Raises:
        DatabaseError: It has none.
    """
    extensions = getattr(app, "extensions", None)
    aldis = extensions.get("aldis") if isinstance(extensions, dict) else None
    outbox = getattr(aldis, "outbox", None)
    if outbox is None:
        raise DatabaseError(
            f"the app {short_repr(app)} has no outbox: give it one, Aldis(app, "
            f"outbox=Outbox(db.session)){_other_ways()}"
        )
    return outbox


def _other_ways() -> str:
    """Return the end of a message: the options of the command that name a database."""
    ctx = click.get_current_context(silent=True)
    options = {name for each in (ctx.command.params if ctx else ()) for name in each.opts}
    ways = {"--outbox": "name one with --outbox module:name", "--url": "the database with --url"}
    return "".join(f", or {text}" for option, text in ways.items() if option in options)


def app_context(app: Any) -> Any:
    """Return the context of an app; if it has none, or an async one, a context without effect."""
    context = getattr(app, "app_context", None)
    found = context() if context is not None else None
    return found if hasattr(found, "__enter__") else nullcontext()


def target_of(outbox: Any, name: str, prefix: str | None = None) -> DatabaseTarget:
    """Return the database of ``outbox``, which the messages call ``name``.

    Raises:
        DatabaseError: The object is not an outbox, or its deliveries are not in a database.
    """
    from aldis.durable.outbox import Outbox  # noqa: PLC0415 - SQLAlchemy may be missing
    from aldis.durable.store.sql.store import SqlStore  # noqa: PLC0415 - SQLAlchemy may be missing

    if not isinstance(outbox, Outbox):
        raise DatabaseError(
            f"{name} is not an outbox but an object of type {type(outbox).__name__}"
        )
    try:
        store = outbox.store
    except AldisError as error:
        raise DatabaseError(f"{name} does not say which database it uses: {error}") from error
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
        from sqlalchemy import make_url  # noqa: PLC0415 - SQLAlchemy may be missing

        dialect = make_url(url).get_dialect().name
    from aldis.durable.store.sql.connection import (  # noqa: PLC0415 - SQLAlchemy may be missing
        kind_of,
    )

    with database_errors():
        kind_of(dialect)
    return dialect


def _engine(url: str) -> Engine:
    dialect_of(url)
    with _url_errors(url):
        from sqlalchemy import create_engine  # noqa: PLC0415 - SQLAlchemy may be missing

        return create_engine(url)


@contextmanager
def _url_errors(url: str) -> Iterator[None]:
    """Explain in one line what is wrong with a URL, or which library it needs."""
    try:
        with needs("this command", "durable", sqlalchemy="SQLAlchemy"):
            from sqlalchemy.exc import (  # noqa: PLC0415 - SQLAlchemy may be missing
                ArgumentError,
                NoSuchModuleError,
            )
    except MissingExtraError as missing:
        raise DatabaseError(str(missing)) from missing
    try:
        yield
    except (NoSuchModuleError, ArgumentError, ValueError) as error:
        advice = database_advice(error) if "greenlet" in str(error) else url_problem(url)
        raise DatabaseError(advice or str(error)) from error
    except ImportError as missing:
        advice = driver_advice(missing.name or "", url.partition(":")[0])
        raise DatabaseError(advice or database_advice(missing) or str(missing)) from missing


# -- files of SQLite -------------------------------------------------------------------------------


def refuse_missing_file(target: DatabaseTarget) -> None:
    """Raise an error if an SQLite file is missing. SQLite would create an empty one.

    Raises:
        DatabaseError: It is missing.
    """
    name = target.engine.url.database
    if target.engine.dialect.name != "sqlite" or not name or name.startswith(("file:", ":")):
        return
    if not Path(name).exists():
        where = "" if Path(name).is_absolute() else f" in {Path.cwd()}"
        raise DatabaseError(f"there is no file {name!r}{where}: `aldis db upgrade` creates it")


def refuse_missing_folder(target: DatabaseTarget) -> None:
    """Raise an error if the folder of an SQLite file is missing. SQLite does not name the reason.

    Raises:
        DatabaseError: It is missing.
    """
    name = target.engine.url.database
    if target.engine.dialect.name != "sqlite" or not name or name.startswith(("file:", ":")):
        return
    folder = Path(name).absolute().parent
    if not folder.is_dir():
        raise DatabaseError(f"there is no folder {str(folder)!r} for the file: create it first")


def refuse_memory(target: DatabaseTarget, why: str) -> None:
    """Raise an error if an SQLite database is in memory.

    Args:
        target: The database.
        why: Why the command cannot use one; the message contains it.

    Raises:
        DatabaseError: It is in memory.
    """
    if target.engine.dialect.name != "sqlite":
        return
    from aldis.durable.store.sql.connection import is_in_memory  # noqa: PLC0415 - SQLAlchemy may be missing

    if is_in_memory(target.engine):
        raise DatabaseError(
            f"an SQLite database in memory {why}: name a file, as in sqlite:///shop.db"
        )


def wal_advice(target: DatabaseTarget) -> str | None:
    """Return the advice for an SQLite file without a write-ahead log; ``None`` for all others.

    Raises:
        DatabaseError: The database cannot be reached.
    """
    if target.engine.dialect.name != "sqlite" or target.call(_journal_mode) == "wal":
        return None
    command = "aldis db upgrade --wal"
    if target.engine.dialect.is_async:  # whose driver the command does not accept
        command += f" --url sqlite:///{target.engine.url.database} --prefix {target.prefix}"
    return (
        "this SQLite file has no write-ahead log, so workers and the app wait for each other; "
        f"turn it on: {command}"
    )


def _journal_mode(bind: Engine | Connection) -> str:
    from sqlalchemy import Engine  # noqa: PLC0415 - SQLAlchemy may be missing

    if isinstance(bind, Engine):
        with bind.connect() as connection:
            return _journal_mode(connection)
    return str(bind.exec_driver_sql("PRAGMA journal_mode").scalar()).lower()


# -- the store -------------------------------------------------------------------------------------


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
        from aldis.durable.store.sql.store import SqlStore  # noqa: PLC0415 - SQLAlchemy may be missing

        self.target = target
        self._store = SqlStore(target.engine, prefix=target.prefix, schema=target.schema)
        self._runner: Runner | None = None
        if target.engine.dialect.is_async:
            from asyncio import Runner  # noqa: PLC0415 - it would cost Flask's commands 30 ms

            self._runner = Runner()

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
            from aldis.durable.store._async_bridge import (  # noqa: PLC0415 - SQLAlchemy may be missing
                call_in_greenlet,
            )

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
        from aldis.durable.store.sql.connection import Database  # noqa: PLC0415 - SQLAlchemy may be missing

        return self.call(lambda _: Database(self.target.engine).read(function))

    def now(self) -> datetime:
        """Return the database's time."""
        from sqlalchemy import select  # noqa: PLC0415 - SQLAlchemy may be missing

        from aldis.durable.store.sql.corrupt_rows import as_moment  # noqa: PLC0415 - SQLAlchemy may be missing
        from aldis.durable.store.sql.tables import now  # noqa: PLC0415 - SQLAlchemy may be missing

        return as_moment(self._read(lambda connection: connection.scalar(select(now()))))

    def state_of(self, number: int) -> Any:
        """Return the state of the delivery with this id, known to aldis or not; else ``None``."""
        from sqlalchemy import MetaData, select, type_coerce  # noqa: PLC0415 - SQLAlchemy may be missing
        from sqlalchemy.types import NullType  # noqa: PLC0415 - SQLAlchemy may be missing

        from aldis.durable.store.sql.tables import tables  # noqa: PLC0415 - SQLAlchemy may be missing

        rows = tables(MetaData(schema=self.target.schema), self.target.prefix).deliveries.c
        chosen = select(type_coerce(rows.state, NullType())).where(rows.id == number)
        return self._read(lambda connection: connection.scalar(chosen))

    def signals(self) -> set[str]:
        """Return the names of the signals that have deliveries."""
        from sqlalchemy import MetaData, select  # noqa: PLC0415 - SQLAlchemy may be missing

        from aldis.durable.store.sql.tables import tables  # noqa: PLC0415 - SQLAlchemy may be missing

        rows = tables(MetaData(schema=self.target.schema), self.target.prefix).deliveries.c
        chosen = select(rows.signal).distinct()
        return set(self._read(lambda connection: connection.scalars(chosen).all()))

    def workers(self) -> list[LiveWorker]:
        """Return the registered workers, by name."""
        from sqlalchemy import MetaData, select  # noqa: PLC0415 - SQLAlchemy may be missing

        from aldis.durable.store.sql.corrupt_rows import as_moment  # noqa: PLC0415 - SQLAlchemy may be missing
        from aldis.durable.store.sql.tables import now, tables  # noqa: PLC0415 - SQLAlchemy may be missing

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


@contextmanager
def open_store(ctx: click.Context, **named: Any) -> Iterator[StoreClient]:
    """Open the store that the command line names, after a check of its tables.

    Args:
        ctx: The context, with the value of ``--app``.
        **named: The arguments of :func:`find_database`.

    Raises:
        DatabaseError: There is no such database, or its tables do not fit.
        AppError: The app cannot be loaded.
    """
    with database_errors():
        target = find_database(ctx, **named)
        refuse_memory(target, "is visible in the app's process only")
        refuse_missing_file(target)
        client = StoreClient(target)
    try:
        with database_errors():
            target.check_tables()
        yield client
    finally:
        client.close()


def durable_receiver_names() -> set[str]:
    """Return the names and aliases of all durable receivers in the app."""
    receivers: Any = sys.modules.get("aldis.durable.receiver")
    return set() if receivers is None else set(receivers.receivers_by_name())
