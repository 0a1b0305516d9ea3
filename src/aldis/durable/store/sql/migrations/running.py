"""Running revisions: one process at a time, and all of one or nothing where the database can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any, Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from aldis.durable.store.sql.migrations.steps import Step
from aldis.errors import OutboxError

__all__ = ["locked", "run", "script"]

#: How long to wait for another process that does the same, in seconds.
PATIENCE: Final = 60


@contextmanager
def locked(
    connection: Connection, prefix: str, schema: str | None, *, patient: bool
) -> Iterator[None]:
    """Keep others from changing the same tables while a ``with`` block runs, and begin.

    On PostgreSQL and SQLite that holds until the transaction ends, which it does not here.

    Args:
        connection: Whose transaction it is.
        prefix: What the names of the tables begin with.
        schema: Where they are, or ``None``.
        patient: Whether PostgreSQL may wait for ever; else the transaction's ``lock_timeout`` is
            set, for all that it does.

    Raises:
        OutboxError: Another process has been at it for a minute (MariaDB, MySQL).
    """
    kind = connection.dialect.name
    if kind == "sqlite":
        _begin_writing(connection)
        yield
    elif kind == "postgresql":
        if not patient:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{PATIENCE}s'")
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": f"aldis {schema or ''} {prefix}"},
        )
        yield
    else:
        with _named_lock(connection, f"{schema or ''} {prefix}"):
            yield


def _begin_writing(connection: Connection) -> None:
    """Begin with the write lock: a transaction that reads first may not get it any more."""
    begun = connection.in_transaction()
    if not begun:
        connection.begin()
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        if begun:  # the caller's, and perhaps in the middle
            return
        connection.exec_driver_sql("ROLLBACK")  # of an engine that begins by itself
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _named_lock(connection: Connection, what: str) -> Iterator[None]:
    # Such names are the whole server's, and 64 characters long at most.
    name = connection.scalar(
        text("SELECT concat('aldis ', md5(concat(coalesce(database(), ''), ' ', :what)))"),
        {"what": what},
    )
    got = connection.scalar(text("SELECT get_lock(:name, :wait)"), {"name": name, "wait": PATIENCE})
    if not got:
        message = (
            f"another process has been changing the tables for {PATIENCE} seconds: wait for it"
        )
        raise OutboxError(message)
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):  # the connection is lost, and the lock with it
            connection.execute(text("SELECT release_lock(:name)"), {"name": name})


def run(
    connection: Connection,
    prefix: str,
    schema: str | None,
    revision: str,
    tell: Callable[[str], object],
) -> list[str]:
    """Run what leads to ``revision`` in the connection's transaction.

    Args:
        connection: A transaction has begun on it.
        prefix: What the names of the tables begin with.
        schema: Where they are, or ``None``.
        revision: A known one.
        tell: Called after each, with its number and what it did.

    Returns:
        What was run.
    """
    done: list[str] = []

    def applied(step: Any, **_: Any) -> None:
        done.append(step.up_revision_id)
        tell(f"{step.up_revision_id}: {step.up_revision.doc.rstrip('.')}")

    options = _options(prefix, schema, revision) | {"on_version_apply": [applied]}
    _run(MigrationContext.configure(connection, opts=options), prefix, schema)
    return done


def script(dialect: str, prefix: str, schema: str | None, start: str | None, revision: str) -> str:
    """Return the SQL that leads from ``start``, ``None`` for nothing, to ``revision``."""
    written = StringIO()
    options = _options(prefix, schema, revision) | {
        "as_sql": True,
        "starting_rev": start,
        "output_buffer": written,
        # Alembic takes SQLite for one that cannot.
        "transactional_ddl": dialect in ("sqlite", "postgresql"),
    }
    context = MigrationContext.configure(dialect_name=dialect, opts=options)
    with context.begin_transaction():
        _run(context, prefix, schema)
    return written.getvalue()


def _options(prefix: str, schema: str | None, revision: str) -> dict[str, Any]:
    revisions = ScriptDirectory(str(Path(__file__).parent))

    def steps(heads: Any, _context: MigrationContext) -> Any:
        # What Alembic's own `upgrade` asks for; there is no other name for it.
        return revisions._upgrade_revs(revision, heads)  # noqa: SLF001 - see above

    return {"fn": steps, "version_table": f"{prefix}version", "version_table_schema": schema}


def _run(context: MigrationContext, prefix: str, schema: str | None) -> None:
    context.run_migrations(step=Step(Operations(context), prefix, schema))
