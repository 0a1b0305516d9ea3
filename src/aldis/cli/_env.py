"""Environment variables from ``.env`` and ``.flaskenv``, as Flask's command line reads them.

Flask's own function is not used, because apps without Flask have these files, too.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click

from aldis.core import set_strict
from aldis.core.process import is_set

__all__ = ["ENV_FILE", "env_file_option", "flask_script", "load_env"]

#: The keys of ``Context.meta``: the value of ``--env-file``, and whether the files were read.
ENV_FILE: Final = "aldis.cli.env_file"
LOADED: Final = "aldis.cli.env_loaded"

#: The files that are searched for, the more important one last.
DEFAULTS: Final = (".flaskenv", ".env")

NO_DOTENV: Final = "python-dotenv is not installed: pip install python-dotenv"


def flask_script(ctx: click.Context) -> Any | None:
    """Return the ``ScriptInfo`` of Flask's command line, or ``None`` outside of it."""
    flask_cli: Any = sys.modules.get("flask.cli")
    return ctx.find_object(flask_cli.ScriptInfo) if flask_cli else None


def _remember_env_file(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:  # the value of an outer command stays
        return
    if flask_script(ctx) is not None:
        raise click.UsageError(
            "Flask reads --env-file before it knows the command: write flask --env-file "
            f"{value} {ctx.info_name}"
        )
    ctx.meta[ENV_FILE] = value


#: ``--env-file``, for groups and commands; the innermost value wins.
env_file_option = click.option(
    "--env-file",
    "-e",
    type=click.Path(exists=True, dir_okay=False),
    expose_value=False,
    is_eager=True,
    callback=_remember_env_file,
    help="Read environment variables from this file, too. It takes precedence over .env and "
    ".flaskenv, and the environment over all files. It needs python-dotenv.",
)


def load_env(ctx: click.Context) -> None:
    """Set the variables in ``--env-file``, ``.env`` and ``.flaskenv`` that are not set yet.

    The two files are those of the working directory or of the closest folder above it. Under
    Flask's command line nothing happens, because Flask has read them.

    Raises:
        BadParameter: A file cannot be read.
    """
    if ctx.meta.setdefault(LOADED, flask_script(ctx) is not None):
        return
    ctx.meta[LOADED] = True
    path = ctx.meta.get(ENV_FILE) or os.environ.get("FLASK_ENV_FILE")
    try:
        from dotenv import dotenv_values, find_dotenv  # noqa: PLC0415 - python-dotenv is optional
    except ImportError as missing:
        if path:
            raise click.BadParameter(NO_DOTENV, param_hint="'--env-file'") from missing
        if _reads_defaults() and any(map(os.path.isfile, DEFAULTS)):
            click.echo(f"There is a file .env or .flaskenv here, but {NO_DOTENV}", err=True)
        return
    names = [find_dotenv(name, usecwd=True) for name in DEFAULTS if _reads_defaults()]
    values: dict[str, str | None] = {}
    for name in (*names, path):
        if name:
            values |= _values_of(name, dotenv_values)
    for key, value in values.items():
        if value is not None:
            os.environ.setdefault(key, value)
    if "ALDIS_STRICT" in values and is_set("ALDIS_STRICT"):
        set_strict()  # the import of aldis was too early to see the variable


def _values_of(name: str, read: Any) -> dict[str, str | None]:
    try:
        with open(name, encoding="utf-8") as file:  # noqa: PTH123 - dotenv passes over a missing file
            return dict(read(stream=file))
    except (OSError, UnicodeError) as error:
        raise click.BadParameter(
            f"{name!r} cannot be read: {error}", param_hint="'--env-file'"
        ) from error


def _reads_defaults() -> bool:
    """Tell whether Flask reads ``.env`` and ``.flaskenv``: see ``FLASK_SKIP_DOTENV``."""
    return os.environ.get("FLASK_SKIP_DOTENV", "").lower() in ("", "0", "false", "no")
