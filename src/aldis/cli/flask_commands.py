"""The commands that aldis adds to Flask's command line: ``flask worker``, ``flask db-upgrade``.

``flask signals`` is the group of :mod:`aldis.cli.group`. The commands for the tables have a dash,
because ``flask db`` belongs to Flask-Migrate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from aldis.cli import group
from aldis.cli._app import load_app
from aldis.cli._env import flask_script
from aldis.cli.commands.check import check_all, load_in_strict_mode
from aldis.cli.commands.db import check_tables, show_current, upgrade_tables
from aldis.cli.commands.worker import run_worker
from aldis.core import is_strict, set_strict

__all__ = ["check", "db_check", "db_current", "db_upgrade", "deliveries", "worker"]


class FlaskCommand(click.Command):
    """A command of aldis that gives way to a command of the app with its name.

    Flask prefers the commands of installed packages to those of the app. Many apps have a command
    such as ``worker``, which must not change because aldis is installed.

    Args:
        name: The name after ``flask``.
        command: The command of aldis.
        load: The function that loads the app, and that the command calls, too.
    """

    def __init__(
        self, name: str, command: click.Command, load: Callable[..., Any] = load_app
    ) -> None:
        super().__init__(name, help=command.help, short_help=command.get_short_help_str(100))
        self.command: Final = command
        self._load = load

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return the context of the app's command, or else of the command of aldis."""
        chosen = self.command
        if parent is not None and flask_script(parent) is not None and not _names_app(args):
            chosen = self._command_of_app(parent) or chosen
        return chosen.make_context(info_name, args, parent, **extra)

    def _command_of_app(self, ctx: click.Context) -> click.Command | None:
        before = is_strict()
        try:
            app = self._load(ctx)
        except click.ClickException:  # the command loads the app again, and reports the error
            return None
        found: click.Command | None = app.cli.get_command(ctx, self.name)
        if found is not None:
            set_strict(before)
            ctx.with_resource(app.app_context())  # as Flask does for the commands of the app
        return found


def _names_app(args: list[str]) -> bool:
    """Tell whether the arguments name the app by an option that only commands of aldis have."""
    return any(each == "--app" or each.startswith(("--app=", "-A")) for each in args)


# `pyproject.toml` has an entry point for each.
check: Final = FlaskCommand("check", check_all, load_in_strict_mode)
deliveries: Final = FlaskCommand("deliveries", group.deliveries)
worker: Final = FlaskCommand("worker", run_worker)
db_check: Final = FlaskCommand("db-check", check_tables)
db_current: Final = FlaskCommand("db-current", show_current)
db_upgrade: Final = FlaskCommand("db-upgrade", upgrade_tables)
