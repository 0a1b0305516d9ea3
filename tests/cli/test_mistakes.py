"""Mistakes of new users. Each message shows what to type instead."""

import pytest
from click.testing import CliRunner

from aldis.cli import aldis

MISTAKES = {
    "deliveries replay abc": "'abc' is not a whole number from 1 to 9,223,372,036,854,775,807.",
    "deliveries replay 0": "'0' is not a whole number from 1 to 9,223,372,036,854,775,807.",
    "deliveries dead --limit x": "'x' is not a whole number from 1 to 100,000.",
    "deliveries stats --more-than -1": "'-1' is not a whole number from 0 on.",
    "worker --concurrency 1.5": "'1.5' is not a whole number from 1 to 1,000.",
    "worker --name ' '": "the name is empty: leave the option out",
    "run --app shop -- flask routes": "`run` has no --app: name the app in COMMAND",
    "run -x flask": "`run` has no option '-x': write the options of COMMAND after it",
    "signals trace": "the request is not [METHOD] PATH: write it as in trace -- GET /",
    "signals trace get": "the request is not [METHOD] PATH: write it as in trace -- GET /",
    "signals trace http://localhost:5000": "does not begin with a slash: write '/'.",
    "signals trace http://h/a/b": "does not begin with a slash: write '/a/b'.",
    "db upgrade --url sqlite:////nowhere/x.db": "'/nowhere' for the file does not exist: create it",
    "signals trace order_paid": "To look at a signal or a receiver, use `explain`",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_wrong_command_line(command):
    """The exit code is 2, and the message shows the right form."""
    ended = CliRunner().invoke(aldis, command)
    assert 2 == ended.exit_code
    assert MISTAKES[command] in " ".join(ended.stderr.split())
