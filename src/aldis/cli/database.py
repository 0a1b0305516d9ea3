"""``db``: the tables of durable deliveries."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from aldis.cli.options import json_option
from aldis.cli.outboxes import (
    DatabaseError,
    Place,
    database_options,
    dialect_of,
    find_place,
    refusals,
    refuse_memory,
    refuse_missing_file,
)
from aldis.cli.output import Page, print_json, quiet_reader
from aldis.errors import SchemaError

__all__ = ["check_tables", "show_current", "upgrade_tables"]


@click.command("upgrade", short_help="Create the tables, or bring them up to date.")
@click.option("--wal", is_flag=True, help="Turn an SQLite file's write-ahead log on, for good.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL from nothing, and run none.")
@database_options
@click.pass_context
def upgrade_tables(ctx: click.Context, /, *, wal: bool, as_sql: bool, **named: Any) -> None:
    """Create the tables of durable deliveries, or bring them up to date.

    Of several that run at once, one does it and the others wait. What was interrupted begins anew.

    \b
      aldis db upgrade --app shop:app
      aldis db upgrade --url sqlite:///shop.db --wal
      aldis db upgrade --url postgresql:// --sql > tables.sql
    """
    if as_sql:
        if wal:
            raise click.UsageError("--wal changes a file, and --sql changes nothing")
        _print_sql(ctx, named)
        return
    place = _find(ctx, named)
    migrate = _migrate()
    refuse_memory(place)
    if wal:
        _turn_on_wal(place)
    with refusals():
        done = place.call(
            lambda bind: migrate.upgrade(bind, place.prefix, place.schema, tell=_tell)
        )
    page = Page()
    how = "are at revision" if done else "were up to date, at revision"
    page.line(f"The tables {place} {how} {migrate.REVISIONS[-1]}.")
    page.print()


@click.command("check", short_help="Do the tables fit this aldis? Exit with 1 if not.")
@json_option
@database_options
@click.pass_context
def check_tables(ctx: click.Context, /, *, as_json: bool, **named: Any) -> None:
    """Say whether the tables fit this version of aldis; exit with 1 if they do not.

    Tables that your own migrations made are looked at, too.

    \b
      aldis db check --app shop:app
    """
    place = _find(ctx, named)
    migrate = _migrate()
    refuse_memory(place)
    refuse_missing_file(place)
    problem: str | None = None
    with refusals():
        try:
            place.call(lambda bind: migrate.check(bind, place.prefix, place.schema, columns=True))
        except SchemaError as error:
            problem = str(error)
    if as_json:
        facts = {**place.facts(), "ok": problem is None, "problem": problem}
        print_json("aldis-db-check/1", {**facts, **_revisions(place)})
    else:
        page = Page()
        if problem is None:
            page.line(("Nothing is wrong", "bold green"), f" with the tables {place}.")
        else:
            page.line(("wrong: ", "bold red"), problem)
        page.print()
    ctx.exit(0 if problem is None else 1)


@click.command("current", short_help="Which revision the tables are of.")
@json_option
@database_options
@click.pass_context
def show_current(ctx: click.Context, /, *, as_json: bool, **named: Any) -> None:
    """Show which revision the tables are of, and which this aldis needs.

    \b
      aldis db current --app shop:app
    """
    place = _find(ctx, named)
    refuse_memory(place)
    refuse_missing_file(place)
    with refusals():
        revisions = _revisions(place)
    if as_json:
        print_json("aldis-db-current/1", {**place.facts(), **revisions})
        return
    page = Page()
    found, newest = revisions["revision"], revisions["newest"]
    if found is None:
        page.line(("none", "bold"), f": `aldis db upgrade` has not made the tables {place}")
    else:
        page.line((found, "bold"), " (the newest)" if found == newest else f" (not {newest})")
    page.print()


def _print_sql(ctx: click.Context, named: dict[str, Any]) -> None:
    if named["url"] is not None:  # no driver is needed, and no server
        dialect, prefix, where = dialect_of(named["url"]), named["prefix"] or "aldis_", None
    else:
        place = _find(ctx, named)
        dialect, prefix, where = place.engine.dialect.name, place.prefix, place.schema
    migrate = _migrate()
    with refusals():
        text = migrate.sql(dialect, prefix, where)
    with quiet_reader():
        print(text.strip())


def _find(ctx: click.Context, named: dict[str, Any]) -> Place:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # an app may log all that there is
    with refusals():
        return find_place(ctx, **named)


def _revisions(place: Place) -> dict[str, str | None]:
    migrate = _migrate()
    found = place.call(lambda bind: migrate.current(bind, place.prefix, place.schema))
    return {"revision": found, "newest": migrate.REVISIONS[-1]}


def _migrate() -> Any:
    with refusals():
        from aldis.durable.store.sql import migrate  # noqa: PLC0415 - it needs SQLAlchemy
    return migrate


def _turn_on_wal(place: Place) -> None:
    engine = place.engine
    if engine.dialect.name != "sqlite" or engine.dialect.is_async:
        raise click.UsageError("--wal is for an SQLite file, with a driver that is not async")
    with refusals():
        from aldis.durable.store.sql.connection import use_wal  # noqa: PLC0415 - it needs SQLAlchemy

        try:
            use_wal(engine)
        except engine.dialect.loaded_dbapi.Error as error:
            where = engine.url.database
            raise DatabaseError(f"{where!r} cannot have a write-ahead log: {error}") from error
    _tell(f"{engine.url.database} has a write-ahead log from now on, whoever opens it")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
