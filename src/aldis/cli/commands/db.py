"""``aldis db upgrade | check | current``."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from aldis.cli._database import (
    DATABASE_OPTIONS,
    DEFAULT_PREFIX,
    DatabaseError,
    database_errors,
    dialect_of,
    find_database,
    refuse_memory,
    refuse_missing_file,
    refuse_missing_folder,
)
from aldis.cli._options import command_with, json_option
from aldis.cli._output import Report, printable, write_json, writing
from aldis.errors import SchemaError

if TYPE_CHECKING:
    from aldis.cli._store import DatabaseTarget

__all__ = ["check_tables", "show_current", "upgrade_tables"]

#: Why these commands cannot use a database in memory.
MEMORY: Final = "is gone when this command ends"


@command_with("upgrade", "Create the tables, or bring them up to date.", *DATABASE_OPTIONS)
@click.option("--wal", is_flag=True, help="Turn on an SQLite file's write-ahead log for good.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL that creates them; run none.")
@click.pass_context
def upgrade_tables(ctx: click.Context, /, *, wal: bool, as_sql: bool, **named: Any) -> None:
    """Create the tables of durable deliveries, or bring them up to date.

    If several of these commands run at once, one does the work and the others wait. You can repeat
    a command that was interrupted.

    \b
      aldis db upgrade --app shop:app
      aldis db upgrade --url sqlite:///shop.db --wal
      aldis db upgrade --url postgresql:// --sql > tables.sql
    """
    if as_sql:
        if wal:
            raise click.UsageError("--wal changes a file and --sql changes nothing: leave one out")
        _print_sql(ctx, named)
        return
    target = _find(ctx, named)
    migrate = _migrate()
    refuse_memory(target, MEMORY)
    refuse_missing_folder(target)
    if wal:
        _turn_on_wal(target)
    with database_errors():
        done = target.call(
            lambda bind: migrate.upgrade(bind, target.prefix, target.schema, tell=_progress)
        )
    report = Report()
    how = "are at revision" if done else "were up to date, at revision"
    report.line(f"The tables {target} {how} {migrate.REVISIONS[-1]}.")
    report.print()


@command_with(
    "check", "Check the tables; exit with 1 if they do not fit.", json_option, *DATABASE_OPTIONS
)
@click.pass_context
def check_tables(ctx: click.Context, /, *, as_json: bool, **named: Any) -> None:
    """Check that the tables fit this version of aldis; exit with 1 if they do not.

    It does not matter whether `aldis db upgrade` or your own migrations made the tables.

    \b
      aldis db check --app shop:app
    """
    target = _find(ctx, named)
    refuse_memory(target, MEMORY)
    refuse_missing_file(target)
    problem: str | None = None
    with database_errors():
        try:
            target.check_tables(columns=True)
        except SchemaError as error:
            problem = str(error)
    if as_json:
        facts = {**target.json(), "ok": problem is None, "problem": problem}
        write_json("aldis-db-check/1", {**facts, **_revisions(target)})
    else:
        report = Report()
        if problem is None:
            report.line(("Nothing is wrong", "bold green"), f" with the tables {target}.")
        else:
            report.line(("wrong: ", "bold red"), printable(problem))
        report.print()
    ctx.exit(0 if problem is None else 1)


@command_with("current", "Show the revision of the tables.", json_option, *DATABASE_OPTIONS)
@click.pass_context
def show_current(ctx: click.Context, /, *, as_json: bool, **named: Any) -> None:
    """Show the revision of the tables, and whether this aldis needs another one.

    \b
      aldis db current --app shop:app
    """
    target = _find(ctx, named)
    refuse_memory(target, MEMORY)
    refuse_missing_file(target)
    with database_errors():
        revisions = _revisions(target)
    if as_json:
        write_json("aldis-db-current/1", {**target.json(), **revisions})
        return
    report = Report()
    found, newest = revisions["revision"], revisions["newest"]
    if found is None:
        report.line(("none", "bold"), f": `aldis db upgrade` has not made the tables {target}")
    else:
        note = " (the newest)" if found == newest else f" (not {newest})"
        report.line((printable(found), "bold"), note)
    report.print()


def _print_sql(ctx: click.Context, named: dict[str, Any]) -> None:
    if named["url"] is not None:  # neither a driver nor a server is needed
        dialect, prefix, schema = dialect_of(named["url"]), named["prefix"] or DEFAULT_PREFIX, None
    else:
        target = _find(ctx, named)
        dialect, prefix, schema = target.engine.dialect.name, target.prefix, target.schema
    migrate = _migrate()
    with database_errors():
        text = migrate.sql(dialect, prefix, schema)
    with writing():
        print(text.strip())


def _find(ctx: click.Context, named: dict[str, Any]) -> DatabaseTarget:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # an app may log everything
    with database_errors():
        return find_database(ctx, **named)


def _revisions(target: DatabaseTarget) -> dict[str, str | None]:
    migrate = _migrate()
    found = target.call(lambda bind: migrate.current(bind, target.prefix, target.schema))
    return {"revision": found, "newest": migrate.REVISIONS[-1]}


def _migrate() -> Any:
    with database_errors():
        from aldis.durable.store.sql import migrate  # noqa: PLC0415 - SQLAlchemy may be missing
    return migrate


def _turn_on_wal(target: DatabaseTarget) -> None:
    engine = target.engine
    if engine.dialect.name != "sqlite" or engine.dialect.is_async:
        raise click.UsageError("--wal needs an SQLite file and a driver that is not async")
    with database_errors():
        from aldis.durable.store.sql.connection import use_wal  # noqa: PLC0415 - SQLAlchemy may be missing

        try:
            use_wal(engine)
        except engine.dialect.loaded_dbapi.Error as error:
            name = engine.url.database
            raise DatabaseError(f"{name!r} cannot have a write-ahead log: {error}") from error
    _progress(f"{engine.url.database} has a write-ahead log from now on, for every program")


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
