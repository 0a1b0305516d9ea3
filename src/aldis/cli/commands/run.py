"""``aldis run``: run any command with aldis installed as blinker."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import click

from aldis.cli._env import ENV_FILE, env_file_option, load_env
from aldis.cli._options import APP

__all__ = ["environment", "run"]

#: The folder with the ``sitecustomize`` that each Python of the command imports first.
STARTUP: Final = str(Path(__file__).absolute().parents[1] / "startup")


class NotFoundError(click.ClickException):
    """There is no such command."""

    exit_code = 127  # the code that shells use


class NotExecutableError(click.ClickException):
    """The command cannot be started."""

    exit_code = 126  # the code that shells use


@click.command(
    "run",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENTS]")
@env_file_option
@click.pass_context
def run(ctx: click.Context, *, command: tuple[str, ...]) -> None:
    """Run COMMAND with aldis installed as blinker.

    aldis is installed before COMMAND's first import, and in each process that COMMAND starts with
    this Python. Another Python stays as it is. COMMAND replaces this process, so signals and the
    exit code are its own. COMMAND can be a Python script. Its environment has the variables from
    --env-file, .env and .flaskenv.

    \b
      aldis run -- flask --app shop run --debug
      aldis run -- gunicorn 'shop:create_app()'
      aldis run -- pytest
      aldis run -- python -c 'import flask; print(flask.request_started)'

    \b
    Exit codes: those of COMMAND; 127 if there is no such COMMAND, 126 if it
    cannot be executed.
    """
    if not command:
        raise click.UsageError(
            "the command to run is missing: write it after the dashes, as in aldis run -- flask run"
        )
    if not Path(STARTUP, "sitecustomize.py").is_file():
        raise click.UsageError(
            f"aldis run needs an installed aldis, but aldis is in {_archive()}, and Python cannot "
            "start from there: install aldis, or put `import aldis.as_blinker` into the program"
        )
    if APP in ctx.meta or command[0].startswith(("--app", "-A")):
        raise click.UsageError(
            "`run` has no --app: name the app in COMMAND, as in aldis run -- flask --app shop run"
        )
    if command[0].startswith("-"):
        raise click.UsageError(
            f"`run` has no option {command[0]!r}: write the options of COMMAND after it, as in "
            "aldis run -- flask --app shop run"
        )
    if ENV_FILE in ctx.meta or not _is_flask(command):  # Flask reads the files by itself
        load_env(ctx)
    _execute(list(command), environment())


def _is_flask(command: tuple[str, ...]) -> bool:
    """Tell whether a command line starts Flask's command line."""
    return Path(command[0]).stem == "flask" or command[1:3] == ("-m", "flask")


def _archive() -> str:
    """Return the closest path around this package that exists: a zip file or a program."""
    return str(next(each for each in Path(STARTUP).parents if each.exists()))


def environment() -> dict[str, str]:
    """Return the environment that installs aldis in each Python of a command."""
    earlier = os.environ.get("PYTHONPATH")
    # An empty entry is the working directory.
    others = earlier.split(os.pathsep) if earlier else []
    paths = [STARTUP, *(each for each in others if each != STARTUP)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "ALDIS_RUN_PREFIX": sys.prefix,
        "ALDIS_RUN_PID": str(os.getpid()),
    }


def _execute(command: list[str], environ: dict[str, str]) -> NoReturn:
    """Replace this process by the command.

    Raises:
        NotFoundError: There is no such command.
        NotExecutableError: It cannot be executed.
    """
    name = command[0]
    found = _find(name)
    if found is None:
        if not Path(name).exists():
            where = "" if os.path.dirname(name) else " on PATH"  # noqa: PTH120 - "./x" has one
            raise NotFoundError(f"the command {name!r} was not found{where}{_hint(name)}")
        if Path(name).is_dir():
            raise NotExecutableError(f"{name!r} is a folder, not a command")
        if name.endswith(".py"):
            _replace_process([sys.executable, *command], environ)
        raise NotExecutableError(
            f"{name!r} is neither executable nor a Python script: chmod +x it, or put the program "
            "that runs it in front"
        )
    _warn_of_ignored_environment(found, command[1:])
    try:
        _replace_process([found, *command[1:]], environ)
    except OSError as error:
        if error.errno == errno.ENOEXEC and name.endswith(".py"):  # without a `#!` line
            _replace_process([sys.executable, found, *command[1:]], environ)
        reason = error.strerror
        if isinstance(error, FileNotFoundError):
            reason = "the program in its first line does not exist"
        elif error.errno == errno.ENOEXEC:
            reason = "it is not a program and has no first line that names one"
        raise NotExecutableError(f"{name!r} cannot be executed: {reason}") from error


def _warn_of_ignored_environment(program: str, arguments: list[str]) -> None:
    """Print a warning if the command is a Python that ignores ``PYTHONPATH``: -I or -E."""
    words = [*_first_line(program), program, *arguments]
    while Path(words[0]).name == "env" and len(words) > 1:
        words = words[2:] if words[1] == "-S" else words[1:]
    if Path(words[0]).name.startswith("python") and {"I", "E"} & set(_flags(words[1:])):
        click.echo(
            "aldis run: with -I and -E, Python ignores the environment, so nothing is changed "
            "until the program imports aldis",
            err=True,
        )


def _first_line(program: str) -> list[str]:
    """Return the words of a script's first line, after ``#!``."""
    with suppress(OSError), Path(program).open("rb") as file:
        if file.read(2) == b"#!":
            return file.readline(1000).decode(errors="replace").split()
    return []


def _flags(words: list[str]) -> Iterator[str]:
    """Yield the letters of Python's own options."""
    rest = iter(words)
    for word in rest:
        if word[:1] != "-" or word == "-":
            return
        for position, letter in enumerate(word[1:], start=2):
            if letter in "cm-":  # the program's options follow; or it is a long option
                if letter == "-":
                    break
                return
            if letter in "WX":  # with a value
                if position == len(word):
                    next(rest, None)
                break
            yield letter


def _find(name: str) -> str | None:
    """Return the file of the command ``name``; this virtual environment comes first.

    A command of another environment would run on another Python, in which aldis is not installed.
    """
    if sys.prefix != sys.base_prefix and not os.path.dirname(name):  # noqa: PTH120 - "./x" has one
        beside = shutil.which(name, path=sysconfig.get_path("scripts"))
        if beside is not None:
            return beside
    return shutil.which(name)


def _hint(name: str) -> str:
    return "; leave out the quotes around the whole command" if " " in name else ""


def _replace_process(command: list[str], environ: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "posix":  # on Windows, exec returns to the prompt before the command ends
        sys.exit(subprocess.call(command, env=environ))  # noqa: S603 - the user typed the command
    # Python ignores these signals, and a command inherits that.
    for name in ("SIGPIPE", "SIGXFSZ"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_DFL)
    os.execve(command[0], command, environ)  # noqa: S606 - the command needs no shell
