"""The exit code 1 means that a problem was found. Errors have other exit codes."""

from pathlib import Path

import pytest

from tests.cli.support import ALDIS, CLOSED, FLASK, PYTHON, RUN

COMMANDS = {
    "list": ("list",),
    "explain": ("explain", "order_paid"),
    "check": ("check",),
    "json": ("check", "--json"),
    "trace": ("trace", "/"),
    "trace json": ("trace", "/", "--json"),
}

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ("out", "reason"),
    [
        pytest.param(CLOSED, "it is closed", id="closed"),
        pytest.param("/dev/full", "No space left on device", marks=FULL, id="full"),
    ],
)
def test_an_output_that_cannot_be_written(shop, command, out, reason):
    """A closed or full output is an error in one line, with the exit code 2."""
    ended = shop.run(*ALDIS, "signals", *command, "--app", "shop", out=out)
    expected = f"Error: the standard output cannot be written: {reason}\n"
    assert (2, expected) == (ended.returncode, ended.stderr)


@FULL
def test_an_output_that_cannot_be_written_under_flask(shop):
    """``flask signals`` reports a full output."""
    ended = shop.run(*RUN, *FLASK, "--app", "shop", "signals", "check", out="/dev/full")
    assert 2 == ended.returncode
    assert "Error: the standard output cannot be written: No space" in ended.stderr


@FULL
def test_a_help_text_that_cannot_be_written(project):
    """A help text on a full output does not end in a traceback."""
    ended = project.run(*ALDIS, "--help", out="/dev/full", anew=True)
    expected = "Error: the standard output cannot be written: No space left on device\n"
    assert (2, expected) == (ended.returncode, ended.stderr)


@FULL
@pytest.mark.parametrize("err", [CLOSED, "/dev/full"], ids=["closed", "full"])
@pytest.mark.parametrize("anew", [True, False])
def test_an_error_that_cannot_be_written(project, err, anew):
    """The exit code is right even if the message cannot be written."""
    command = (*ALDIS, "signals", "check", "--app", "no_app")
    assert 2 == project.run(*command, err=err, anew=anew).returncode


@pytest.mark.parametrize("under_flask", [False, True])
@pytest.mark.parametrize("source", ["{}", "def create_app():\n    {}"])
def test_an_app_that_raises_a_base_exception(project, under_flask, source):
    """An exception that ``except Exception`` does not catch is reported as an error of the app."""
    project.write("app.py", source.format("import asyncio; raise asyncio.CancelledError('late')"))
    command = (*RUN, *FLASK, "signals", "check") if under_flask else (*ALDIS, "signals", "check")
    ended = project.run(*command)
    assert (2, "") == (ended.returncode, ended.stdout)
    assert "could not be imported.\n\n  CancelledError: late\n  app.py:" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("error", ["RuntimeError", "GeneratorExit", "PermissionError"])
def test_an_unexpected_error(project, error):
    """An unexpected error is shown with its traceback, and the exit code is 2."""
    project.write("app.py", f"def __getattr__(name): raise {error}(name)")
    ended = project.run(*ALDIS, "signals", "check", "--app", "app")
    assert 2 == ended.returncode
    assert ended.stderr.startswith("Traceback ")
    assert f"\n{error}: " in ended.stderr


def test_a_trace_without_a_standard_output_prints_nothing(project):
    """Like ``print``, a trace prints nothing if the program has no standard output."""
    code = "from aldis.observe import trace, Trace; Trace().print(); Trace().print('title')"
    ended = project.run(*PYTHON, "-c", code, out=CLOSED)
    assert (0, "") == (ended.returncode, ended.stderr)
