"""The groups of commands: ``aldis`` with ``signals``, ``db`` and ``deliveries``."""

from __future__ import annotations

import platform
from difflib import get_close_matches
from typing import Final

import click

from aldis.cli._options import app_options
from aldis.cli.commands.check import check_all, check_signals
from aldis.cli.commands.db import check_tables, show_current, upgrade_tables
from aldis.cli.commands.deliveries import (
    list_dead,
    list_pending,
    list_running,
    show_delivery,
    show_stats,
)
from aldis.cli.commands.operate import (
    discard_deliveries,
    pause_receiver,
    prune_deliveries,
    replay_deliveries,
    resume_receiver,
)
from aldis.cli.commands.run import run
from aldis.cli.commands.signals import explain, list_signals
from aldis.cli.commands.trace import trace
from aldis.cli.commands.web import serve_dashboard
from aldis.cli.commands.worker import run_worker
from aldis.core import COMPILED
from aldis.version import __version__

__all__ = ["aldis", "signals"]

VERSION: Final = (
    f"aldis {__version__}, {'C' if COMPILED else 'Python'} engine, "
    f"{platform.python_implementation()} {platform.python_version()}"
)


class Group(click.Group):
    """A group that suggests the closest command if a command is misspelt."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command in ``args`` and the rest of them."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and name[:1] != "-":
            known = self.list_commands(ctx)
            closest = get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {closest[0]!r}?" if closest else f"choose one of {', '.join(known)}."
            )
            if elsewhere := _elsewhere(name):
                hint = f"did you mean {elsewhere}?"
            ctx.fail(f"unknown command {name!r}; {hint}")
        return super().resolve_command(ctx, args)


def _elsewhere(name: str) -> str:
    """Return the commands called ``name``, whichever group they are in."""
    groups = {"aldis": aldis, "aldis signals": signals, "aldis db": db}
    groups["aldis deliveries"] = deliveries
    return " or ".join(f"`{path} {name}`" for path, each in groups.items() if name in each.commands)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(message=VERSION)
@app_options
def aldis() -> None:
    """Inspect signals, and run and manage durable deliveries.

    \b
      aldis signals list --app shop:app       list signals and their receivers
      aldis signals check --app shop:app      find problems with them, for CI
      aldis check --app shop:app              find problems with deliveries, too
      aldis db upgrade --app shop:app         create the tables of deliveries
      aldis worker --app shop:app             run deliveries
      aldis deliveries stats --app shop:app   count deliveries
      aldis web --app shop:app                see all of this in a browser
      aldis run -- flask --app shop run       run a command with aldis as blinker

    \b
    Exit codes: 0 success, 1 a problem was found (`check`, `signals check`,
    `db check`, `deliveries stats`), 2 an error in the command line, the app or
    the database, or the output cannot be written, 130 interrupted. `aldis run`
    has the exit code of its COMMAND.
    """


@click.group(
    cls=Group,
    short_help="List, explain, check and trace signals.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@app_options
def signals() -> None:
    """Show signals and their receivers, and the signals that a request sends.

    The command imports the app, because the import connects the receivers. What
    the app prints goes to the standard error.

    \b
    Exit codes: 0 success, 1 a problem was found (`check`), 2 an error in the
    command line or the app, or the output cannot be written.
    """


@click.group(cls=Group)
@app_options
def db() -> None:
    """Create and check the tables of durable deliveries.

    The app's outbox names the database, unless you give --outbox or --url.

    \b
    Exit codes: 0 success, 1 the tables do not fit (`check`), 2 an error in the
    command line, the app or the database.
    """


@click.group(cls=Group)
@app_options
def deliveries() -> None:
    """Inspect and manage durable deliveries.

    The app's outbox names the database, unless you give --outbox or --url. Write durations as
    90s, 15m, 12h or 7d, and times as 2026-11-21T10:00Z.

    \b
    Exit codes: 0 success, 1 an alert (`stats`), 2 an error in the command line,
    the app or the database, 130 interrupted. An interrupted command keeps the
    changes that it has made.
    """


signals.add_command(list_signals)
signals.add_command(explain)
signals.add_command(check_signals)
signals.add_command(trace)
db.add_command(upgrade_tables)
db.add_command(check_tables)
db.add_command(show_current)
for command in (
    show_stats,
    list_pending,
    list_running,
    list_dead,
    show_delivery,
    replay_deliveries,
    discard_deliveries,
    pause_receiver,
    resume_receiver,
    prune_deliveries,
):
    deliveries.add_command(command)
aldis.add_command(signals)
aldis.add_command(db)
aldis.add_command(check_all)
aldis.add_command(run_worker)
aldis.add_command(deliveries)
aldis.add_command(run)
aldis.add_command(serve_dashboard)
