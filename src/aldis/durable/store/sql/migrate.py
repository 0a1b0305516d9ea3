"""The tables of an outbox in a database: created, brought up to date, and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, column, inspect, select
from sqlalchemy import table as sql_table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from aldis.durable.store.sql.connection import kind_of
from aldis.durable.store.sql.tables import Tables, tables
from aldis.errors import MissingExtraError, OutboxError, SchemaError
from aldis.version import __version__

__all__ = ["REVISIONS", "check", "current", "sql", "upgrade"]

#: The revisions of the tables that this aldis knows, the newest last.
REVISIONS: Final = ("0001",)

#: What databases add to what they say, in the words of a user's remedy.
_REMEDIES: Final = {
    "database is locked": "another connection is writing; try again when it has committed",
    "lock timeout": "another connection holds a lock; try again when it has committed",
}


def upgrade(
    bind: Engine | Connection,
    prefix: str = "aldis_",
    schema: str | None = None,
    revision: str = "head",
    *,
    tell: Callable[[str], object] = lambda _: None,
) -> list[str]:
    """Create the tables, or bring them up to date; of several processes at once, one does it.

    What is interrupted begins anew the next time. PostgreSQL and SQLite forget what it did; MariaDB
    and MySQL keep it, and the next time goes on from there.

    Args:
        bind: The application's engine; or a connection, whose transaction is begun if it is not,
            and left to be committed.
        prefix: What the names of the tables begin with.
        schema: Where they are, if not where the connection creates tables anyway.
        revision: One of :data:`REVISIONS`, or ``"head"`` for the newest. Nothing is ever undone.
        tell: Called after each revision with a line that says what it did.

    Returns:
        The revisions that were run; none if the tables were up to date.

    Raises:
        SchemaError: They are newer than this aldis, or the application's own migrations made them.
        OutboxError: The database refuses, cannot be reached, or is of another kind.
        ValueError: The prefix is no beginning of a name, or the revision unknown.
    """
    wanted = _known(revision)
    kind_of(bind.dialect.name)  # which refuses other databases
    ours = tables(MetaData(schema=schema), prefix)
    running = _running()
    with (
        _connected(bind) as connection,
        _refusals(connection, "cannot be brought up to date"),
        # A caller's transaction goes on after this: its settings are the caller's.
        running.locked(connection, prefix, schema, patient=bind is connection),
    ):
        found = _found(connection, ours)
        if found is None:
            _refuse_strange(connection, ours)
        elif found and found not in REVISIONS:
            raise SchemaError(_too_new(found, ours))
        elif found and REVISIONS.index(found) >= REVISIONS.index(wanted):
            return []
        done: list[str] = running.run(connection, prefix, schema, wanted, tell)
        if isinstance(bind, Engine):
            connection.commit()
    return done


def sql(
    dialect: str,
    prefix: str = "aldis_",
    schema: str | None = None,
    revision: str = "head",
    *,
    start: str | None = None,
) -> str:
    """Return what :func:`upgrade` would run, for those who run it themselves.

    Args:
        dialect: SQLAlchemy's name of the kind of database, such as ``"postgresql"``.
        prefix: What the names of the tables begin with.
        schema: Where they are, if not where the connection creates tables anyway.
        revision: Up to which revision, or ``"head"``.
        start: The revision that they have; ``None`` if they are not there.
    """
    kind_of(dialect)  # which refuses other databases
    tables(MetaData(), prefix)  # which refuses what is no prefix
    return str(_running().script(dialect, prefix, schema, start, _known(revision)))


def current(
    bind: Engine | Connection, prefix: str = "aldis_", schema: str | None = None
) -> str | None:
    """Return the revision of the tables; ``None`` if ``aldis db upgrade`` has not made them.

    Raises:
        OutboxError: The database refuses, or cannot be reached.
    """
    ours = tables(MetaData(schema=schema), prefix)
    with _connected(bind) as connection, _refusals(connection, "cannot be looked at"):
        return _found(connection, ours) or None


def check(
    bind: Engine | Connection,
    prefix: str = "aldis_",
    schema: str | None = None,
    *,
    columns: bool = False,
) -> None:
    """Make sure that the tables are those of this aldis. Two statements, if they are.

    Tables that the application's own migrations made are compared column by column.

    Args:
        bind: The application's engine, or a connection.
        prefix: What the names of the tables begin with.
        schema: Where they are, if not where the connection creates tables anyway.
        columns: Whether to compare those that ``aldis db upgrade`` made, too.

    Raises:
        SchemaError: They are missing, too old or too new.
        OutboxError: The database refuses, or cannot be reached.
    """
    ours = tables(MetaData(schema=schema), prefix)
    with _connected(bind) as connection, _refusals(connection, "cannot be looked at"):
        found = _found(connection, ours)
        if found is None:
            _refuse_missing(connection, ours)
        elif found == "":
            raise SchemaError(
                f"creating the tables {_named(ours)} was interrupted: run `aldis db upgrade` again,"
                " which goes on"
            )
        elif found not in REVISIONS:
            raise SchemaError(_too_new(found, ours))
        elif found != REVISIONS[-1]:
            raise SchemaError(
                f"the tables {_named(ours)} are of revision {found}, and aldis {__version__} needs "
                f"{REVISIONS[-1]}: run `aldis db upgrade`; what waits in them is kept"
            )
        elif columns:
            lacking = _lacking(connection, ours)
            if lacking:
                raise SchemaError(
                    f"the tables {_named(ours)} are of revision {found}, but somebody has taken "
                    f"away {', '.join(lacking)}: put that back"
                )


# -- what is there ---------------------------------------------------------------------------------


def _found(connection: Connection, ours: Tables) -> str | None:
    """Return the revision, ``""`` if none was completed, ``None`` without a table for it."""
    name, schema = f"{ours.prefix}version", ours.deliveries.schema
    if not inspect(connection).has_table(name, schema=schema):
        return None
    version = sql_table(name, column("version_num"), schema=schema)
    found: str | None = connection.scalar(select(version.c.version_num))
    return found or ""


def _columns(connection: Connection, ours: Tables) -> dict[str, set[str]]:
    """Return the columns of those tables that are there."""
    names = [table.name for table in _all(ours)]
    there = inspect(connection).get_multi_columns(schema=ours.deliveries.schema, filter_names=names)
    return {name: {each["name"] for each in columns} for (_, name), columns in there.items()}


def _lacking(connection: Connection, ours: Tables) -> list[str]:
    """Return the tables, and the columns of the others, that are not there."""
    there = _columns(connection, ours)
    lacking = [f"table {table.name}" for table in _all(ours) if table.name not in there]
    return lacking + [
        f"column {table.name}.{each.name}"
        for table in _all(ours)
        for each in table.columns
        if each.name not in there.get(table.name, {each.name})
    ]


def _refuse_missing(connection: Connection, ours: Tables) -> None:
    """Look at tables that somebody else has made, or nobody.

    Raises:
        SchemaError: There are none, or some of them or of their columns are missing.
    """
    lacking = _lacking(connection, ours)
    if lacking == [f"table {table.name}" for table in _all(ours)]:
        raise SchemaError(
            f"the tables {_named(ours)} are missing: run `aldis db upgrade`, or add them to your "
            "own migrations: aldis.durable.tables(metadata), then autogenerate"
        )
    if lacking:
        raise SchemaError(
            f"the tables {_named(ours)}, which your own migrations made, lack {', '.join(lacking)}:"
            f" aldis {__version__} needs a new migration of yours; what waits in them is kept"
        )


def _refuse_strange(connection: Connection, ours: Tables) -> None:
    there = _columns(connection, ours)
    if there:
        raise SchemaError(
            f"there is {', '.join(sorted(there))} already, and not made by `aldis db upgrade`: "
            "tables of your own migrations are brought up to date by these; for other tables of "
            "that name, choose another prefix"
        )


def _too_new(found: str, ours: Tables) -> str:
    return (
        f"the tables {_named(ours)} are of revision {found}, which aldis {__version__} does not "
        f"know (its newest is {REVISIONS[-1]}): upgrade aldis"
    )


def _all(ours: Tables) -> tuple[Any, ...]:
    return ours.deliveries, ours.workers, ours.paused


def _named(ours: Tables) -> str:
    return f"{ours.prefix}*" if not ours.deliveries.schema else str(ours.deliveries.schema)


# -- the way there ---------------------------------------------------------------------------------


def _known(revision: str) -> str:
    wanted = REVISIONS[-1] if revision == "head" else revision
    if wanted not in REVISIONS:
        message = f"there is no revision {revision!r}: there are {', '.join(REVISIONS)}"
        raise ValueError(message)
    return wanted


def _running() -> Any:
    try:
        # Only those who create tables wait for Alembic to be imported.
        from aldis.durable.store.sql.migrations import running  # noqa: PLC0415 - see above
    except ModuleNotFoundError as missing:
        if missing.name != "alembic":
            raise
        message = (
            "creating tables needs Alembic, which is not installed: pip install 'aldis[durable]'"
        )
        raise MissingExtraError(message, name="alembic") from missing
    return running


@contextmanager
def _connected(bind: Engine | Connection) -> Iterator[Connection]:
    """Give a connection; one of our own is closed, and rolled back, after a ``with`` block."""
    if isinstance(bind, Connection):
        yield bind
        return
    engine = bind
    if engine.dialect.name != "sqlite":  # REPEATABLE READ would not see what another has just made
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        message = f"the database {_address(bind)} cannot be reached: {_said(error)}"
        raise OutboxError(message) from error
    with connection:
        yield connection


@contextmanager
def _refusals(connection: Connection, what: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        said = _said(error)
        remedies = [remedy for words, remedy in _REMEDIES.items() if words in said.lower()]
        message = f"the tables in {_address(connection.engine)} {what}: {said}"
        raise OutboxError(": ".join([message, *remedies])) from error


def _address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _said(error: SQLAlchemyError) -> str:
    """Return what the driver says, in one line: without the statement and where in it."""
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    if primary is None and len(original.args) > 1 and isinstance(original.args[1], str):
        primary = original.args[1]  # MariaDB's: its number, its words
    return " ".join(str(primary or original).split())
