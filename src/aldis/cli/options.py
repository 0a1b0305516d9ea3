"""The options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

__all__ = ["APP", "app_option", "json_option", "signals_command", "traceback_option"]

F = TypeVar("F", bound=Callable[..., Any])

#: Where in ``Context.meta`` the app's name and the wish for a traceback are.
APP: Final = "aldis.app"


def _remember(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:  # else one that an outer command was given stays
        ctx.meta[APP] = value


#: ``--app``, for groups and commands: the innermost that is given counts.
app_option = click.option(
    "--app",
    "-A",
    metavar="APP",
    expose_value=False,
    is_eager=True,
    callback=_remember,
    help="The app: package.module:app, package.module:factory() or path/to/file.py. "
    "By default $ALDIS_APP, else $FLASK_APP, else app.py, wsgi.py or asgi.py here.",
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON for programs, in a documented form."
)

traceback_option = click.option(
    "--traceback", is_flag=True, help="When the app cannot be imported, show the whole way there."
)


def signals_command(name: str, short_help: str) -> Callable[[F], click.Command]:
    """Return a decorator for a command that looks at an app: it has ``--app`` and the like."""

    def decorate(function: F) -> click.Command:
        command: click.Command = click.command(name, short_help=short_help)(function)
        shared: Any = app_option(json_option(traceback_option(lambda: None)))
        command.params += reversed(shared.__click_params__)  # its own come first in the help
        return command

    return decorate
