"""Runs revisions, one process at a time, and each in one transaction if the database can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from typing import Any, Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import Script
from alembic.script.revision import RevisionMap
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from aldis.durable.store.sql.migrations.steps import SchemaStep
from aldis.durable.store.sql.migrations.versions import MODULES
from aldis.errors import OutboxError

__all__ = ["locked", "run", "script"]

#: How long to wait for another process that changes the tables, in seconds.
PATIENCE: Final = 60


@contextmanager
def locked(
    connection: Connection, prefix: str, schema: str | None, *, patient: bool
) -> Iterator[None]:
    """Begin a transaction and keep other processes from changing the tables in a ``with`` block.

    On PostgreSQL and SQLite, the lock lasts until the caller ends the transaction.

    Args:
        connection: The connection.
        prefix: The start of the tables' names.
        schema: The schema of the tables, or ``None``.
        patient: Whether PostgreSQL may wait for ever. Otherwise this sets the ``lock_timeout`` of
            the transaction.

    Raises:
        OutboxError: Another process has held the lock for a minute (MariaDB, MySQL).
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
    """Begin with the write lock; a transaction that reads first may not get it later."""
    begun = connection.in_transaction()
    if not begun:
        connection.begin()
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        if begun:  # the caller's transaction may be half done
            return
        connection.exec_driver_sql("ROLLBACK")  # the engine runs BEGIN itself
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _named_lock(connection: Connection, what: str) -> Iterator[None]:
    # The whole server shares these names, and they have at most 64 characters.
    name = connection.scalar(
        text("SELECT concat('aldis ', md5(concat(coalesce(database(), ''), ' ', :what)))"),
        {"what": what},
    )
    got = connection.scalar(text("SELECT get_lock(:name, :wait)"), {"name": name, "wait": PATIENCE})
    if not got:
        message = (
            f"another process has been changing the tables for {PATIENCE} seconds: wait until it "
            "ends, then try again"
        )
        raise OutboxError(message)
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):  # a lost connection has released the lock
            connection.execute(text("SELECT release_lock(:name)"), {"name": name})


def run(
    connection: Connection,
    prefix: str,
    schema: str | None,
    revision: str,
    tell: Callable[[str], object],
) -> list[str]:
    """Run the revisions up to ``revision`` in the connection's transaction.

    Args:
        connection: A connection whose transaction has begun.
        prefix: The start of the tables' names.
        schema: The schema of the tables, or ``None``.
        revision: The last revision.
        tell: Called after each revision with a line that describes it.

    Returns:
        The revisions that ran.
    """
    done: list[str] = []

    def applied(step: Any, **_: Any) -> None:
        done.append(step.up_revision_id)
        tell(f"{step.up_revision_id}: {step.up_revision.doc.rstrip('.')}")

    options = _options(prefix, schema, revision) | {"on_version_apply": [applied]}
    _run(MigrationContext.configure(connection, opts=options), prefix, schema)
    return done


def script(dialect: str, prefix: str, schema: str | None, start: str | None, revision: str) -> str:
    """Return the SQL from revision ``start``, ``None`` for no tables, up to ``revision``."""
    written = StringIO()
    options = _options(prefix, schema, revision) | {
        "as_sql": True,
        "starting_rev": start,
        "output_buffer": written,
        # Alembic assumes that SQLite cannot roll back DDL.
        "transactional_ddl": dialect in ("sqlite", "postgresql"),
    }
    context = MigrationContext.configure(dialect_name=dialect, opts=options)
    with context.begin_transaction():
        _run(context, prefix, schema)
    return written.getvalue()


def upgrade_steps(revision: str, heads: Any) -> list[RevisionStep]:
    """Return the steps from ``heads`` to ``revision``.

    Alembic's ``ScriptDirectory`` would need a folder of files, which a zip file does not have.
    """
    scripts = [Script(each, each.revision, str(each.__file__)) for each in MODULES]
    known = RevisionMap(lambda: scripts)
    found: list[Any] = list(known.iterate_revisions(revision, heads, implicit_base=True))
    return [MigrationStep.upgrade_from_script(known, each) for each in reversed(found)]


def _options(prefix: str, schema: str | None, revision: str) -> dict[str, Any]:
    def steps(heads: Any, _context: MigrationContext) -> Any:
        return upgrade_steps(revision, heads)

    return {"fn": steps, "version_table": f"{prefix}version", "version_table_schema": schema}


def _run(context: MigrationContext, prefix: str, schema: str | None) -> None:
    context.run_migrations(step=SchemaStep(Operations(context), prefix, schema))
