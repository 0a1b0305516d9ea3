"""The commands by name: ``aldis``, and its groups ``signals``, ``db`` and ``deliveries``."""

from __future__ import annotations

import platform
from difflib import get_close_matches

import click

from aldis.cli.auditing import check_all
from aldis.cli.checking import check
from aldis.cli.counting import show_stats
from aldis.cli.database import check_tables, show_current, upgrade_tables
from aldis.cli.deliveries import (
    list_dead,
    list_pending,
    list_running,
    show_delivery,
)
from aldis.cli.explaining import explain
from aldis.cli.listing import list_signals
from aldis.cli.options import app_option
from aldis.cli.run import run
from aldis.cli.tending import (
    discard_deliveries,
    pause_receiver,
    prune_deliveries,
    replay_deliveries,
    resume_receiver,
)
from aldis.cli.tracing import trace
from aldis.cli.working import work
from aldis.core import COMPILED
from aldis.version import __version__

__all__ = ["aldis", "signals"]

VERSION = (
    f"aldis {__version__}, {'compiled' if COMPILED else 'Python'} call loop, "
    f"{platform.python_implementation()} {platform.python_version()}"
)


class Group(click.Group):
    """A group that answers a misspelt command with the closest right one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` name."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and name[:1] != "-":
            known = self.list_commands(ctx)
            closest = get_close_matches(name, known, n=1)
            hint = f"did you mean {closest[0]!r}?" if closest else f"there are {', '.join(known)}."
            ctx.fail(f"there is no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(message=VERSION)
@app_option
def aldis() -> None:
    """Signals: who listens to what, what is wrong, what happens.

    \b
      aldis signals list --app shop:app       who listens to what
      aldis signals check --app shop:app      what is wrong, for CI
      aldis check --app shop:app              the same, and durable deliveries
      aldis db upgrade --app shop:app         create their tables
      aldis worker --app shop:app             run them
      aldis deliveries stats --app shop:app   how many wait
      aldis run -- flask --app shop run       any command, on aldis

    \b
    Exit codes: 0 all is well, 1 something was found (`check`, `signals check`,
    `db check`, `deliveries stats`), 2 the command line, the app or the database
    is wrong, or the output cannot be written, 130 interrupted. `aldis run` ends
    as its COMMAND does.
    """


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@app_option
def signals() -> None:
    """Show who listens to which signal, and what happens.

    The app is imported, since that is what connects receivers. What it prints
    meanwhile goes to the standard error.

    \b
    Exit codes: 0 all is well, 1 something was found (`check`), 2 the command
    line or the app is wrong, or the output cannot be written.
    """


@click.group(cls=Group)
@app_option
def db() -> None:
    """The tables in which durable deliveries are kept.

    The database is that of the app's outbox, unless --outbox or --url names one.

    \b
    Exit codes: 0 all is well, 1 the tables do not fit (`check`), 2 the command
    line, the app or the database is wrong.
    """


@click.group(cls=Group)
@app_option
def deliveries() -> None:
    """Look at durable deliveries, and tend them.

    The database is that of the app's outbox, unless --outbox or --url names one. Durations are
    written as 90s, 15m, 12h or 7d, times as 2026-11-21T10:00Z.

    \b
    Exit codes: 0 done, 1 an alert (`stats`), 2 the command line, the app or the
    database is wrong, 130 interrupted; what was done before stays done.
    """


signals.add_command(list_signals)
signals.add_command(explain)
signals.add_command(check)
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
aldis.add_command(work)
aldis.add_command(deliveries)
aldis.add_command(run)
