"""The options and types of values that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click

from aldis.cli._env import env_file_option
from aldis.cli._output import UNITS

__all__ = [
    "AGE",
    "APP",
    "DURATION",
    "RATE",
    "TIMESTAMP",
    "WholeNumber",
    "app_option",
    "app_options",
    "command_with",
    "json_option",
    "signals_command",
    "traceback_option",
]

F = TypeVar("F", bound=Callable[..., Any])

#: The key of ``Context.meta`` under which the app's name is.
APP: Final = "aldis.app"

#: The longest duration. Every database can subtract it from the present.
LONGEST: Final = 100 * 365 * 86_400


def _remember_app(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:  # else the value of an outer command stays
        ctx.meta[APP] = value


#: ``--app``, for groups and commands; the innermost value wins.
app_option = click.option(
    "--app",
    "-A",
    metavar="APP",
    expose_value=False,
    is_eager=True,
    callback=_remember_app,
    help="The app: package.module:app, package.module:factory() or path/to/file.py. "
    "By default $ALDIS_APP, else $FLASK_APP, else app.py, wsgi.py or asgi.py here.",
)


def app_options(function: F) -> F:
    """Add ``--app`` and ``--env-file``."""
    return app_option(env_file_option(function))


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON for programs. The docs list its keys."
)

traceback_option = click.option(
    "--traceback", is_flag=True, help="Show the whole traceback if the app cannot be imported."
)


def command_with(
    name: str, short_help: str, *shared: Callable[[Any], Any]
) -> Callable[[F], click.Command]:
    """Return a decorator for a command that has the ``shared`` options after its own."""

    def decorate(function: F) -> click.Command:
        command: click.Command = click.command(name, short_help=short_help)(function)

        def holder() -> None: ...

        for option in reversed(shared):
            option(holder)
        command.params += reversed(holder.__click_params__)  # type: ignore[attr-defined] # click's
        return command

    return decorate


def signals_command(name: str, short_help: str) -> Callable[[F], click.Command]:
    """Return a decorator for a command that inspects an app."""
    return command_with(
        name, short_help, app_option, env_file_option, json_option, traceback_option
    )


class WholeNumber(click.IntRange):
    """A whole number in a range. Errors show the range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not (self.min or 0) <= number <= (self.max or number):
            upper = f" to {self.max:,}" if self.max is not None else " on"
            self.fail(f"{value!r} is not a whole number from {self.min}{upper}.", param, ctx)
        return number


class Duration(click.ParamType):  # type: ignore[type-arg] # only newer versions have one
    """Seconds, or a number with its unit.

    Args:
        bare: Whether a number without a unit is allowed. It means seconds.
    """

    name = "duration"

    def __init__(self, *, bare: bool) -> None:
        self._bare = bare

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", value)
        if match is None or (not match[2] and not self._bare):
            self.fail(f"{value!r} is not a duration: write 90s, 15m, 12h or 7d.", param, ctx)
        seconds = float(match[1]) * UNITS[match[2] or "s"]
        if seconds > LONGEST:
            self.fail(f"{value!r} is longer than 100 years.", param, ctx)
        return seconds


class Rate(click.ParamType):  # type: ignore[type-arg] # only newer versions have one
    """A number per second, minute or hour."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number per second."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)/([smh])", value)
        if match is None:
            self.fail(f"{value!r} is not a rate: write 50/s, 600/m or 9000/h.", param, ctx)
        if not (number := float(match[1])):
            self.fail(f"{value!r} would never end: write 50/s, 600/m or 9000/h.", param, ctx)
        return number / UNITS[match[2]]


class Timestamp(click.ParamType):  # type: ignore[type-arg] # only newer versions have one
    """A time, or how long ago it was."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return a time in UTC; a time without a zone is in the zone of the machine."""
        if isinstance(value, datetime):
            return value
        if re.fullmatch(r"[0-9.]+[smhd]", value):
            return datetime.now(UTC) - timedelta(seconds=AGE.convert(value, param, ctx))
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is not a time: write 2026-11-21, 2026-11-21T10:00 (in the machine's "
                "zone), 2026-11-21T10:00Z, or 12h for twelve hours ago.",
                param,
                ctx,
            )


#: A duration with its unit: a bare number would be ambiguous.
AGE: Final = Duration(bare=False)
DURATION: Final = Duration(bare=True)
RATE: Final = Rate()
TIMESTAMP: Final = Timestamp()
