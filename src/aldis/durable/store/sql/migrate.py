"""Creates, upgrades and checks the tables of an outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, column, inspect, select
from sqlalchemy import table as sql_table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from aldis._optional import needs
from aldis.durable.store.sql.connection import kind_of
from aldis.durable.store.sql.errors import Problem, problem_of
from aldis.durable.store.sql.tables import Tables, tables
from aldis.errors import OutboxError, SchemaError
from aldis.version import __version__

__all__ = ["REVISIONS", "check", "current", "sql", "upgrade"]

#: The revisions of the tables, the newest last.
REVISIONS: Final = ("0001", "0002", "0003", "0004")


def upgrade(
    bind: Engine | Connection,
    prefix: str = "aldis_",
    schema: str | None = None,
    revision: str = "head",
    *,
    tell: Callable[[str], object] = lambda _: None,
) -> list[str]:
    """Create the tables, or upgrade them. If several processes call this, one of them does it.

    After an interruption, call it again. PostgreSQL and SQLite roll back the interrupted revision;
    MariaDB and MySQL keep its tables, and the next call continues.

    Args:
        bind: The application's engine, or a connection. On a connection, you commit the transaction
            yourself.
        prefix: The start of the tables' names.
        schema: The schema of the tables, if it is not the connection's default.
        revision: One of :data:`REVISIONS`, or ``"head"`` for the newest. It never downgrades.
        tell: Called after each revision with a line that describes it.

    Returns:
        The revisions that ran; none if the tables were up to date.

    Raises:
        SchemaError: The tables are newer than this aldis, or the application's own migrations
            created them.
        OutboxError: The database refuses, cannot be reached, or cannot keep deliveries.
        ValueError: A table's name cannot start with ``prefix``, or the revision is unknown.
    """
    wanted = _known(revision)
    kind_of(bind.dialect.name)  # rejects other databases
    ours = tables(MetaData(schema=schema), prefix)
    runner = _runner()
    with (
        _connected(bind) as connection,
        _refusals(connection, "cannot be brought up to date"),
        # The caller's transaction continues, so its settings must not change.
        runner.locked(connection, prefix, schema, patient=bind is connection),
    ):
        found = _found(connection, ours)
        if found is None:
            _refuse_strange(connection, ours)
        elif found and found not in REVISIONS:
            raise SchemaError(_too_new(found, ours))
        elif found and REVISIONS.index(found) >= REVISIONS.index(wanted):
            return []
        done: list[str] = runner.run(connection, prefix, schema, wanted, tell)
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
    """Return the SQL that :func:`upgrade` would run, so that you can run it yourself.

    Args:
        dialect: SQLAlchemy's name of the database, such as ``"postgresql"``.
        prefix: The start of the tables' names.
        schema: The schema of the tables, if it is not the connection's default.
        revision: The last revision, or ``"head"``.
        start: The present revision; ``None`` if the tables do not exist.
    """
    kind_of(dialect)  # rejects other databases
    tables(MetaData(), prefix)  # rejects a wrong prefix
    return str(_runner().script(dialect, prefix, schema, start, _known(revision)))


def current(
    bind: Engine | Connection, prefix: str = "aldis_", schema: str | None = None
) -> str | None:
    """Return the revision of the tables; ``None`` if ``aldis db upgrade`` did not create them.

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
    """Check that this aldis can use the tables. If it can, this takes two statements.

    If the application's own migrations created the tables, every column is checked.

    Args:
        bind: The application's engine, or a connection.
        prefix: The start of the tables' names.
        schema: The schema of the tables, if it is not the connection's default.
        columns: Whether to check the columns of tables that ``aldis db upgrade`` created, too.

    Raises:
        SchemaError: The tables are missing, too old or too new.
        OutboxError: The database refuses, or cannot be reached.
    """
    ours = tables(MetaData(schema=schema), prefix)
    with _connected(bind) as connection, _refusals(connection, "cannot be looked at"):
        found = _found(connection, ours)
        if found is None:
            _refuse_missing(connection, ours)
        elif found == "":
            raise SchemaError(
                f"the creation of the tables {_named(ours)} was interrupted: run `aldis db upgrade`"
                " again to continue"
            )
        elif found not in REVISIONS:
            raise SchemaError(_too_new(found, ours))
        elif found != REVISIONS[-1]:
            raise SchemaError(
                f"the tables {_named(ours)} are of revision {found}, and aldis {__version__} needs "
                f"{REVISIONS[-1]}: run `aldis db upgrade`; it keeps all deliveries"
            )
        elif columns:
            missing = _missing(connection, ours)
            if missing:
                raise SchemaError(
                    f"the tables {_named(ours)} are of revision {found}, but lack "
                    f"{', '.join(missing)}: add them again"
                )


# -- inspection -----------------------------------------------------------------------------------


def _found(connection: Connection, ours: Tables) -> str | None:
    """Return the revision, ``""`` if none was completed, ``None`` without a version table."""
    name, schema = f"{ours.prefix}version", ours.deliveries.schema
    if not inspect(connection).has_table(name, schema=schema):
        return None
    version = sql_table(name, column("version_num"), schema=schema)
    found: str | None = connection.scalar(select(version.c.version_num))
    return found or ""


def _columns(connection: Connection, ours: Tables) -> dict[str, set[str]]:
    """Return the columns of the tables that exist."""
    names = [table.name for table in _all(ours)]
    there = inspect(connection).get_multi_columns(schema=ours.deliveries.schema, filter_names=names)
    return {name: {each["name"] for each in columns} for (_, name), columns in there.items()}


def _missing(connection: Connection, ours: Tables) -> list[str]:
    """Return the missing tables, and the missing columns of the tables that exist."""
    there = _columns(connection, ours)
    missing = [f"table {table.name}" for table in _all(ours) if table.name not in there]
    return missing + [
        f"column {table.name}.{each.name}"
        for table in _all(ours)
        for each in table.columns
        if each.name not in there.get(table.name, {each.name})
    ]


def _refuse_missing(connection: Connection, ours: Tables) -> None:
    """Check tables that ``aldis db upgrade`` did not create.

    Raises:
        SchemaError: All or some of the tables, or some of their columns, are missing.
    """
    missing = _missing(connection, ours)
    if missing == [f"table {table.name}" for table in _all(ours)]:
        raise SchemaError(
            f"the tables {_named(ours)} are missing: run `aldis db upgrade`, or add them to your "
            "own migrations: aldis.durable.tables(metadata), then autogenerate"
        )
    if missing:
        raise SchemaError(
            f"the tables {_named(ours)}, which your own migrations created, lack "
            f"{', '.join(missing)}: autogenerate a migration for aldis {__version__}; it keeps all "
            "deliveries"
        )


def _refuse_strange(connection: Connection, ours: Tables) -> None:
    there = _columns(connection, ours)
    if there:
        raise SchemaError(
            f"{', '.join(sorted(there))} already exists, and `aldis db upgrade` did not create it: "
            "upgrade tables of your own migrations with a migration; for other tables of that "
            "name, choose another prefix"
        )


def _too_new(found: str, ours: Tables) -> str:
    return (
        f"the tables {_named(ours)} are of revision {found}, which aldis {__version__} does not "
        f"know (its newest is {REVISIONS[-1]}): upgrade aldis"
    )


def _all(ours: Tables) -> tuple[Any, ...]:
    return ours.deliveries, ours.workers, ours.paused, ours.audit, ours.receivers


def _named(ours: Tables) -> str:
    return f"{ours.prefix}*" if not ours.deliveries.schema else str(ours.deliveries.schema)


# -- execution -------------------------------------------------------------------------------------


def _known(revision: str) -> str:
    wanted = REVISIONS[-1] if revision == "head" else revision
    if wanted not in REVISIONS:
        message = f"unknown revision {revision!r}: choose one of {', '.join(REVISIONS)}"
        raise ValueError(message)
    return wanted


def _runner() -> Any:
    with needs("the creation of tables", "durable", alembic="Alembic"):
        # Only the creation of tables needs Alembic.
        from aldis.durable.store.sql.migrations import runner  # noqa: PLC0415 - importing Alembic takes 420 ms
    return runner


@contextmanager
def _connected(bind: Engine | Connection) -> Iterator[Connection]:
    """Yield a connection; one that this function opened is rolled back and closed."""
    if isinstance(bind, Connection):
        yield bind
        return
    engine = bind
    if engine.dialect.name != "sqlite":  # REPEATABLE READ hides a new table
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
        message = f"the tables in {_address(connection.engine)} {what}: {said}"
        if problem_of(error) is Problem.LOCKED:
            other = "is writing" if connection.dialect.name == "sqlite" else "holds a lock"
            message += f": another connection {other}; try again when it has committed"
        raise OutboxError(message) from error


def _address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _said(error: SQLAlchemyError) -> str:
    """Return the driver's message in one line, without the statement."""
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    if primary is None and len(original.args) > 1 and isinstance(original.args[1], str):
        primary = original.args[1]  # MariaDB's number and message
    return " ".join(str(primary or original).split())
