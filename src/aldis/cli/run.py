"""``aldis run``: any command, with aldis in blinker's place from its first import on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final, NoReturn

import click

from aldis.cli.options import APP

__all__ = ["environment", "run"]

#: The folder whose ``sitecustomize`` every Python started below imports first.
STARTUP: Final = str(Path(__file__).parent / "startup")


class NotFoundError(click.ClickException):
    """There is no such command."""

    exit_code = 127  # as shells have it


class NotExecutableError(click.ClickException):
    """The command cannot be started."""

    exit_code = 126  # as shells have it


@click.command(
    "run",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENTS]")
@click.pass_context
def run(ctx: click.Context, *, command: tuple[str, ...]) -> None:
    """Run COMMAND with aldis in blinker's place.

    That holds from the first import of COMMAND on and for every process that it starts, as far as
    they run on this Python; others are left alone. COMMAND takes the place of this process: signals
    and the exit code are its own. A Python script, too, is a COMMAND.

    \b
      aldis run -- flask --app shop run --debug
      aldis run -- gunicorn 'shop:create_app()'
      aldis run -- pytest
      aldis run -- python -c 'import flask; print(flask.request_started)'

    \b
    Exit codes: those of COMMAND; 127 when there is no such COMMAND, 126 when it
    cannot be executed.
    """
    if not command:
        raise click.UsageError("say the command to run, as in: aldis run -- flask run")
    if APP in ctx.meta:
        raise click.UsageError("--app is not for `run`: COMMAND has its own way to name an app")
    _execute(list(command), environment())


def environment() -> dict[str, str]:
    """Return the environment of a command that shall run on aldis."""
    earlier = os.environ.get("PYTHONPATH")
    # An empty one in between is the working directory, and stays it.
    others = earlier.split(os.pathsep) if earlier else []
    paths = [STARTUP, *(each for each in others if each != STARTUP)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "ALDIS_RUN_PREFIX": sys.prefix,
        "ALDIS_RUN_PID": str(os.getpid()),
    }


def _execute(command: list[str], environ: dict[str, str]) -> NoReturn:
    """Become the command.

    Raises:
        NotFoundError: There is none.
        NotExecutableError: It cannot be executed.
    """
    name = command[0]
    found = _find(name)
    if found is None:
        if not Path(name).exists():
            where = "" if os.path.dirname(name) else " on PATH"  # noqa: PTH120 - "./x" has one
            raise NotFoundError(f"there is no command {name!r}{where}{_hint(name)}")
        if Path(name).is_dir():
            raise NotExecutableError(f"{name!r} is a folder, not a command")
        if name.endswith(".py"):
            _replace_process([sys.executable, *command], environ)
        raise NotExecutableError(
            f"{name!r} is not executable, nor a Python script by its name: chmod +x it, or name "
            "what runs it"
        )
    try:
        _replace_process([found, *command[1:]], environ)
    except OSError as error:
        if error.errno == errno.ENOEXEC and name.endswith(".py"):  # without a `#!` line
            _replace_process([sys.executable, found, *command[1:]], environ)
        reason = error.strerror
        if isinstance(error, FileNotFoundError):
            reason = "the program that its first line names does not exist"
        elif error.errno == errno.ENOEXEC:
            reason = "it is no program, nor has it a first line that names one"
        raise NotExecutableError(f"{name!r} cannot be executed: {reason}") from error


def _find(name: str) -> str | None:
    """Return the file that ``name`` means: of this environment first, where there is one.

    A command of another environment would run on another Python, which is left alone.
    """
    if sys.prefix != sys.base_prefix and not os.path.dirname(name):  # noqa: PTH120 - "./x" has one
        beside = shutil.which(name, path=sysconfig.get_path("scripts"))
        if beside is not None:
            return beside
    return shutil.which(name)


def _hint(name: str) -> str:
    return "; write its words apart, without quotes around them all" if " " in name else ""


def _replace_process(command: list[str], environ: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "posix":  # where exec would give the prompt back before the command ends
        sys.exit(subprocess.call(command, env=environ))  # noqa: S603 - it is the user's command
    # Python ignores these two, and what is ignored stays so in the command.
    for name in ("SIGPIPE", "SIGXFSZ"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_DFL)
    os.execve(command[0], command, environ)  # noqa: S606 - no shell is wanted
