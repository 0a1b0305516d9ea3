"""The commands that aldis adds to Flask's command line: ``flask worker``, ``flask db-upgrade``.

The commands for the tables have a dash, because ``flask db`` belongs to Flask-Migrate.

Flask imports this module for every command of every app, such as ``flask --help``. So each command
is imported when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from aldis.core import is_strict, set_strict

__all__ = ["check", "db_check", "db_current", "db_upgrade", "deliveries", "signals", "worker"]


class LazyCommand(click.Command):
    """A command that is imported when it runs.

    Args:
        name: The name after ``flask``.
        short_help: The line in ``flask --help``.
        find: Imports and returns the command of aldis.
    """

    def __init__(self, name: str, short_help: str, find: Callable[[], click.Command]) -> None:
        super().__init__(name, short_help=short_help)
        self.find: Final = find

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return the context of the command."""
        return self.find().make_context(info_name, args, parent, **extra)


class FlaskCommand(LazyCommand):
    """A command of aldis that gives way to a command of the app with its name.

    Flask prefers the commands of installed packages to those of the app. Many apps have a command
    such as ``worker``, which must not change because aldis is installed.
    """

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return the context of the app's command, or else of the command of aldis."""
        from aldis.cli._env import flask_script  # noqa: PLC0415 - see the module's docstring

        if parent is not None and flask_script(parent) is not None and not _names_app(args):
            chosen = self._command_of_app(parent)
            if chosen is not None:
                return chosen.make_context(info_name, args, parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def _command_of_app(self, ctx: click.Context) -> click.Command | None:
        before = is_strict()
        try:
            app = self._load_app(ctx)
        except click.ClickException:  # the command loads the app again, and reports the error
            return None
        found: click.Command | None = app.cli.get_command(ctx, self.name)
        if found is not None:
            set_strict(before)
            ctx.with_resource(app.app_context())  # as Flask does for the commands of the app
        return found

    def _load_app(self, ctx: click.Context) -> Any:
        """Load the app as the command of aldis does."""
        from aldis.cli._app import load_app  # noqa: PLC0415 - see the module's docstring

        return load_app(ctx)


class _Check(FlaskCommand):
    """``flask check``, which connects the receivers of the app in strict mode."""

    def _load_app(self, ctx: click.Context) -> Any:
        from aldis.cli.commands.check import (  # noqa: PLC0415 - see the module's docstring
            load_in_strict_mode,
        )

        return load_in_strict_mode(ctx)


def _names_app(args: list[str]) -> bool:
    """Tell whether the arguments name the app by an option that only commands of aldis have."""
    return any(each == "--app" or each.startswith(("--app=", "-A")) for each in args)


def _find_signals() -> click.Command:
    from aldis.cli.group import signals  # noqa: PLC0415 - see the module's docstring

    return signals


def _find_check() -> click.Command:
    from aldis.cli.commands.check import check_all  # noqa: PLC0415 - see the module's docstring

    return check_all


def _find_deliveries() -> click.Command:
    from aldis.cli.group import deliveries  # noqa: PLC0415 - see the module's docstring

    return deliveries


def _find_worker() -> click.Command:
    from aldis.cli.commands.worker import run_worker  # noqa: PLC0415 - see the module's docstring

    return run_worker


def _find_db_check() -> click.Command:
    from aldis.cli.commands.db import check_tables  # noqa: PLC0415 - see the module's docstring

    return check_tables


def _find_db_current() -> click.Command:
    from aldis.cli.commands.db import show_current  # noqa: PLC0415 - see the module's docstring

    return show_current


def _find_db_upgrade() -> click.Command:
    from aldis.cli.commands.db import upgrade_tables  # noqa: PLC0415 - see the module's docstring

    return upgrade_tables


# `pyproject.toml` has an entry point for each.
signals: Final = LazyCommand("signals", "List, explain, check and trace signals.", _find_signals)
check: Final = _Check(
    "check", "Find problems with signals and durable deliveries; exit with 1 if any.", _find_check
)
deliveries: Final = FlaskCommand(
    "deliveries", "Inspect and manage durable deliveries.", _find_deliveries
)
worker: Final = FlaskCommand(
    "worker", "Run durable deliveries until a signal stops it.", _find_worker
)
db_check: Final = FlaskCommand(
    "db-check", "Check the tables; exit with 1 if they do not fit.", _find_db_check
)
db_current: Final = FlaskCommand("db-current", "Show the revision of the tables.", _find_db_current)
db_upgrade: Final = FlaskCommand(
    "db-upgrade", "Create the tables, or bring them up to date.", _find_db_upgrade
)
