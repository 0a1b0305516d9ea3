"""The exit code 1 means that something was found: whatever goes wrong has another one."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.support import ALDIS, FLASK, RUN

COMMANDS = {
    "list": ("list",),
    "explain": ("explain", "order_paid"),
    "check": ("check",),
    "json": ("check", "--json"),
    "trace": ("trace", "/"),
    "trace json": ("trace", "/", "--json"),
}

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")


def shell(project, command, redirected, **environ):
    """Run a command with its output as a shell redirects it."""
    return project.run("/bin/sh", "-c", f"exec {shlex.join(command)} {redirected}", **environ)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ("redirected", "reason"),
    [
        (">&-", "it is closed"),
        pytest.param(">/dev/full", "No space left on device", marks=FULL),
    ],
)
def test_an_output_that_cannot_be_written(shop, command, redirected, reason):
    """One line says so, and the exit code is 2."""
    ended = shell(shop, [*ALDIS, "signals", *command, "--app", "shop"], redirected)
    said = f"Error: the standard output cannot be written: {reason}\n"
    assert (2, said) == (ended.returncode, ended.stderr)


@FULL
def test_under_flask(shop):
    """The same for Flask's command line."""
    command = [*RUN, *FLASK, "--app", "shop", "signals", "check"]
    ended = shell(shop, command, ">/dev/full")
    assert 2 == ended.returncode
    assert "Error: the standard output cannot be written: No space" in ended.stderr


@FULL
def test_a_help_text_that_cannot_be_written(project):
    """Nor does it end in a traceback."""
    ended = shell(project, [*ALDIS, "--help"], ">/dev/full")
    said = "Error: the standard output cannot be written: No space left on device\n"
    assert (2, said) == (ended.returncode, ended.stderr)


@FULL
@pytest.mark.parametrize("errors", ["2>&-", "2>/dev/full"])
def test_an_error_that_cannot_be_written(project, errors):
    """The exit code says it all the same."""
    assert 2 == shell(project, [*ALDIS, "signals", "check", "--app", "no_app"], errors).returncode


@pytest.mark.parametrize("under_flask", [False, True])
@pytest.mark.parametrize("source", ["{}", "def create_app():\n    {}"])
def test_an_app_that_raises_what_is_no_exception(project, under_flask, source):
    """What no ``except Exception`` catches is told as any error of the app is."""
    project.write("app.py", source.format("import asyncio; raise asyncio.CancelledError('late')"))
    command = (*RUN, *FLASK, "signals", "check") if under_flask else (*ALDIS, "signals", "check")
    ended = project.run(*command)
    assert (2, "") == (ended.returncode, ended.stdout)
    assert "could not be imported.\n\n  CancelledError: late\n  app.py:" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("error", ["RuntimeError", "GeneratorExit", "PermissionError"])
def test_an_error_that_nobody_foresaw(project, error):
    """Its traceback is shown, and the exit code is not that of findings."""
    project.write("app.py", f"def __getattr__(name): raise {error}(name)")
    ended = project.run(*ALDIS, "signals", "check", "--app", "app")
    assert 2 == ended.returncode
    assert ended.stderr.startswith("Traceback ")
    assert f"\n{error}: " in ended.stderr


def test_a_trace_without_an_output_prints_nothing(project):
    """As the function ``print`` does, in a program of one's own whose output is closed."""
    code = "from aldis.observe import trace, Trace; Trace().print(); Trace().print('title')"
    ended = shell(project, [sys.executable, "-c", code], ">&-")
    assert (0, "") == (ended.returncode, ended.stderr)
