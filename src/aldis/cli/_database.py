"""From ``--app``, ``--outbox`` or ``--url`` to the database with the deliveries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from aldis._optional import needs
from aldis.cli._app import load_app, load_object
from aldis.cli._database_errors import DatabaseError, database_errors
from aldis.cli._env import env_file_option, load_env
from aldis.cli._options import APP, app_option, traceback_option
from aldis.cli._output import short_repr

if TYPE_CHECKING:
    from aldis.cli._store import DatabaseTarget, StoreClient

__all__ = [
    "DATABASE_OPTIONS",
    "DEFAULT_PREFIX",
    "DatabaseError",
    "app_context",
    "database_errors",
    "dialect_of",
    "durable_receiver_names",
    "find_database",
    "new_client",
    "open_store",
    "outbox_of",
    "outbox_option",
    "refuse_memory",
    "refuse_missing_file",
    "refuse_missing_folder",
    "target_of",
    "wal_advice",
]

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


# -- which database --------------------------------------------------------------------------------


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
        target: DatabaseTarget = _import_store().url_target(url, prefix or DEFAULT_PREFIX)
        return target
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
    target: DatabaseTarget = _import_store().outbox_target(outbox, name, prefix)
    return target


def dialect_of(url: str) -> str:
    """Return the name of the database system in ``url``; its driver may be missing.

    Raises:
        DatabaseError: There is no such system, or it cannot keep deliveries.
    """
    dialect: str = _import_store().dialect_of(url)
    return dialect


def _import_store() -> Any:
    """Import the module that needs SQLAlchemy.

    Raises:
        DatabaseError: SQLAlchemy or another package of the extra is not installed.
    """
    with database_errors(), needs("this command", "durable", sqlalchemy="SQLAlchemy"):
        from aldis.cli import _store  # noqa: PLC0415 - SQLAlchemy may be missing
    return _store


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
        raise DatabaseError(
            f"the file {name!r} does not exist{where}: `aldis db upgrade` creates it"
        )


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
        raise DatabaseError(
            f"the folder {str(folder)!r} for the file does not exist: create it first"
        )


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
    if _import_store().is_in_memory(target.engine):
        raise DatabaseError(
            f"an SQLite database in memory {why}: name a file, as in sqlite:///shop.db"
        )


def wal_advice(target: DatabaseTarget) -> str | None:
    """Return the advice for an SQLite file without a write-ahead log; ``None`` for all others.

    Raises:
        DatabaseError: The database cannot be reached.
    """
    if target.engine.dialect.name != "sqlite" or target.call(_import_store().journal_mode) == "wal":
        return None
    command = "aldis db upgrade --wal"
    if target.engine.dialect.is_async:  # whose driver the command does not accept
        command += f" --url sqlite:///{target.engine.url.database} --prefix {target.prefix}"
    return (
        "this SQLite file has no write-ahead log, so workers and the app wait for each other; "
        f"turn it on: {command}"
    )


# -- the store -------------------------------------------------------------------------------------


def new_client(target: DatabaseTarget) -> StoreClient:
    """Return a client of the store in a database."""
    client: StoreClient = _import_store().StoreClient(target)
    return client


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
        client = new_client(target)
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
