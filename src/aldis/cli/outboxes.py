"""Which database a command is about: an app's outbox, an outbox by name, or an address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from aldis.cli.loading import load, load_object
from aldis.cli.options import APP, app_option, traceback_option
from aldis.errors import AldisError, OutboxError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = [
    "DatabaseError",
    "Place",
    "advice_on_log",
    "context_of",
    "database_options",
    "dialect_of",
    "find_outbox",
    "find_place",
    "outbox_option",
    "place_of",
    "refusals",
    "refuse_memory",
    "refuse_missing_file",
]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


outbox_option = click.option(
    "--outbox", metavar="MODULE:NAME", help="An outbox by name, for apps that are not Flask's."
)

#: By which a database is named.
OPTIONS: Final = (
    app_option,
    outbox_option,
    click.option("--url", metavar="URL", help="The database, as SQLAlchemy writes it."),
    click.option("--prefix", metavar="TEXT", help="What the tables' names begin with."),
    traceback_option,
)


def database_options(function: F) -> F:
    """Add the options by which a database is named: what :func:`find_place` takes."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


class DatabaseError(click.ClickException):
    """A database cannot be had, or refuses; the message says why."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where an outbox has its tables.

    Attributes:
        engine: The database's, sync or the inner one of an async engine.
        prefix: What the names of the tables begin with.
        schema: Where they are, or ``None``.
    """

    engine: Engine
    prefix: str
    schema: str | None

    def __str__(self) -> str:
        return f"{self.schema + '.' if self.schema else ''}{self.prefix}* in {self.address}"

    @property
    def address(self) -> str:
        """The database's, without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    def facts(self) -> dict[str, Any]:
        """Return it as the documented schemas have it."""
        return {"database": self.address, "database_schema": self.schema, "prefix": self.prefix}

    def call(self, work: Callable[[Engine | Connection], T]) -> T:
        """Return what ``work`` returns; what it does on an async engine's connection is committed.

        Raises:
            DatabaseError: The database refuses, or cannot be reached.
        """
        if not self.engine.dialect.is_async:
            return work(self.engine)
        import asyncio  # noqa: PLC0415 - Flask imports this module for every command of its own

        from aldis.durable.store._async_bridge import (  # noqa: PLC0415 - it needs SQLAlchemy
            call_in_greenlet,
        )

        return asyncio.run(call_in_greenlet(lambda: self._call_on_connection(work)))

    def _call_on_connection(self, work: Callable[[Engine | Connection], T]) -> T:
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - it may be missing

        try:
            with self.engine.begin() as connection:
                return work(connection)
        except (SQLAlchemyError, OSError) as error:
            message = f"the database {self.address} cannot be reached: {error}"
            raise DatabaseError(message) from error
        finally:
            self.engine.dispose()


def find_place(
    ctx: click.Context, *, url: str | None, outbox: str | None, prefix: str | None, traceback: bool
) -> Place:
    """Return the database that the command line names.

    Args:
        ctx: Where ``--app`` has left its value.
        url: The value of ``--url``.
        outbox: The value of ``--outbox``.
        prefix: The value of ``--prefix``; by default it is the outbox's own.
        traceback: Whether to write the traceback of an import that failed.

    Raises:
        DatabaseError: It names none, or one that cannot be had.
        AppError: The app cannot be had.
    """
    named = [
        option
        for option, value in (("--app", ctx.meta.get(APP)), ("--outbox", outbox), ("--url", url))
        if value is not None
    ]
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)} both name a database: leave one out")
    if url is not None:
        return Place(_engine(url), prefix or "aldis_", None)
    if outbox is not None:
        return place_of(load_object(ctx, outbox, traceback=traceback), outbox, prefix)
    app = load(ctx, traceback=traceback)
    # Flask-SQLAlchemy's session has an engine only inside of the app's context.
    with context_of(app):
        return place_of(find_outbox(app), "the app's outbox", prefix)


def find_outbox(app: Any) -> Any:
    """Return the outbox that ``app`` was given.

    Raises:
        DatabaseError: It has none.
    """
    extensions = getattr(app, "extensions", None)
    aldis = extensions.get("aldis") if isinstance(extensions, dict) else None
    outbox = getattr(aldis, "outbox", None)
    if outbox is None:
        raise DatabaseError(
            f"the app {app!r:.60} has no outbox: give it one, Aldis(app, "
            "outbox=Outbox(db.session)), or name one with --outbox module:name, or the database "
            "with --url"
        )
    return outbox


def context_of(app: Any) -> Any:
    """Return the context of an app, to be entered; one that does nothing where it has none."""
    context = getattr(app, "app_context", None)
    found = context() if context is not None else None
    return found if hasattr(found, "__enter__") else nullcontext()  # Quart's is async


def place_of(outbox: Any, name: str, prefix: str | None = None) -> Place:
    """Return where ``outbox``, which the command line calls ``name``, has its tables.

    Raises:
        DatabaseError: It is no outbox, or has none.
    """
    from aldis.durable.outbox import Outbox  # noqa: PLC0415 - it needs SQLAlchemy
    from aldis.durable.store.sql.store import SqlStore  # noqa: PLC0415 - the same

    if not isinstance(outbox, Outbox):
        raise DatabaseError(f"{name} is no outbox, but an object of type {type(outbox).__name__}")
    try:
        store = outbox.store
    except AldisError as error:
        raise DatabaseError(f"{name} does not say which database it is in: {error}") from error
    if not isinstance(store, SqlStore):
        raise DatabaseError(
            f"{name} keeps deliveries in a {type(store).__name__}, where no other process sees them"
        )
    return Place(store.engine, prefix or store.prefix, store.schema)


def dialect_of(url: str) -> str:
    """Return the kind of database that ``url`` names; its driver need not be installed.

    Raises:
        DatabaseError: It names none.
    """
    with _addresses(url):
        from sqlalchemy import make_url  # noqa: PLC0415 - may be missing

        dialect = make_url(url).get_dialect().name
    from aldis.durable.store.sql.connection import kind_of  # noqa: PLC0415 - it needs SQLAlchemy

    try:
        kind_of(dialect)
    except OutboxError as error:
        raise DatabaseError(str(error)) from None
    return dialect


def _engine(url: str) -> Engine:
    dialect_of(url)
    with _addresses(url):
        from sqlalchemy import create_engine  # noqa: PLC0415 - may be missing

        return create_engine(url)


@contextmanager
def _addresses(url: str) -> Iterator[None]:
    """Say in a line what is wrong with an address, or is missing for it, in a ``with`` block."""
    try:
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError  # noqa: PLC0415 - may be missing
    except ModuleNotFoundError as missing:
        if missing.name != "sqlalchemy":
            raise
        raise DatabaseError(
            "this needs SQLAlchemy, which is not installed: pip install 'aldis[durable]'"
        ) from missing
    try:
        yield
    except NoSuchModuleError as error:
        raise DatabaseError(
            f"no such kind of database: {_kind(url)!r}; it is sqlite, postgresql or mariadb, with "
            "the driver after a plus sign"
        ) from error
    except (ArgumentError, ValueError) as error:
        raise DatabaseError(
            "what --url says is no address of a database; it looks like sqlite:///shop.db or "
            "postgresql+psycopg://user:password@host/database"
        ) from error
    except ModuleNotFoundError as missing:
        raise DatabaseError(
            f"the driver {missing.name!r} of {_kind(url)!r} is not installed: install it, or name "
            "another, as in postgresql+psycopg:// or mariadb+pymysql://"
        ) from missing


def _kind(url: str) -> str:
    return url.partition(":")[0]


def refuse_missing_file(place: Place) -> None:
    """Refuse a file that is not there: SQLite would create an empty one.

    Raises:
        DatabaseError: It is missing.
    """
    name = place.engine.url.database
    if place.engine.dialect.name != "sqlite" or not name or name.startswith(("file:", ":")):
        return
    if not Path(name).exists():
        raise DatabaseError(f"there is no file {name!r}: `aldis db upgrade` creates it")


def journal_of(place: Place) -> str | None:
    """Return how an SQLite file is written, ``"wal"`` or ``"delete"``; ``None`` elsewhere.

    Raises:
        DatabaseError: It cannot be reached.
    """
    if place.engine.dialect.name != "sqlite":
        return None

    def look(bind: Engine | Connection) -> str:
        from sqlalchemy import Engine  # noqa: PLC0415 - may be missing

        if isinstance(bind, Engine):
            with bind.connect() as connection:
                return look(connection)
        return str(bind.exec_driver_sql("PRAGMA journal_mode").scalar()).lower()

    return place.call(look)


def advice_on_log(place: Place) -> str | None:
    """Return what to do about an SQLite file that has no write-ahead log; ``None`` elsewhere.

    Raises:
        DatabaseError: It cannot be reached.
    """
    if journal_of(place) in (None, "wal"):
        return None
    command = "aldis db upgrade --wal"
    if place.engine.dialect.is_async:  # whose driver the command does not take
        command += f" --url sqlite:///{place.engine.url.database} --prefix {place.prefix}"
    return (
        "this SQLite file has no write-ahead log, without which workers and the app wait for each "
        f"other: {command}"
    )


GONE: Final = "is gone when this command ends"


def refuse_memory(place: Place, why: str = GONE) -> None:
    """Refuse a database that no other process sees.

    Args:
        place: The database.
        why: What is said of one that is in memory.

    Raises:
        DatabaseError: It is in memory.
    """
    if place.engine.dialect.name != "sqlite":
        return
    from aldis.durable.store.sql.connection import is_in_memory  # noqa: PLC0415 - it needs SQLAlchemy

    if is_in_memory(place.engine):
        raise DatabaseError(
            f"an SQLite database in memory {why}: name a file, as in sqlite:///shop.db"
        )


@contextmanager
def refusals() -> Iterator[None]:
    """Say in a line what goes wrong with a database in a ``with`` block.

    Raises:
        DatabaseError: Something does.
    """
    try:
        yield
    except (AldisError, ValueError) as error:
        raise DatabaseError(str(error)) from error
