"""Is aldis in blinker's place? If it can still get there, it will; else the way there is named."""

from __future__ import annotations

import shlex
import sys

import click

from aldis.blinker import install_as_blinker, stands_in
from aldis.errors import StandInError

__all__ = ["NotInPlaceError", "ensure_stand_in"]


class NotInPlaceError(click.ClickException):
    """Something runs on plain blinker already."""

    exit_code = 2


def ensure_stand_in(ctx: click.Context) -> None:
    """Put aldis in blinker's place.

    Raises:
        NotInPlaceError: It is too late; the message has the command to use instead.
    """
    if stands_in():
        return
    try:
        install_as_blinker()
    except StandInError as error:
        raise NotInPlaceError(f"{error}. Start it like this:\n\n  {_command(ctx)}") from error


def _command(ctx: click.Context) -> str:
    """Return this command as ``aldis run`` takes it."""
    started = shlex.split(ctx.find_root().command_path)
    return shlex.join(["aldis", "run", "--", *started, *sys.argv[1:]])
