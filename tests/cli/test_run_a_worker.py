"""The commands of the how-to on running a worker print what the page shows."""

import configparser
import re
import shlex
import signal
from pathlib import Path

import pytest

from tests.cli.durable_shop import send, states, wait_for, working, write_shop
from tests.cli.support import ALDIS, PYTHON

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "run-a-worker.md").read_text(
    encoding="utf-8"
)


def blocks(language):
    """Return the examples of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def commands():
    """Return each command of the page with its documented output."""
    found = []
    for line in "".join(blocks("console")).splitlines():
        if line.startswith("$ aldis "):
            found.append((shlex.split(line.removeprefix("$ aldis ")), []))
        else:
            found[-1][1].append(line)
    return found


def fits(expected, printed):
    """Return whether the printed lines match the expected ones. "…" matches any text."""
    pattern = ".*".join(re.escape(part) for part in "\n".join(expected).split("…"))
    return re.match(pattern.replace(r"\ ", " +"), printed, re.DOTALL) is not None


@pytest.fixture
def shop(project):
    """Give a folder with the shop, two receipts delivered, and a dead letter."""
    write_shop(project)
    project.write(
        "more.py",
        """
        from receivers import *
        from shop import app, db

        @order_paid.connect
        @durable("reports.monthly")
        def report(sender, **extra): ...

        @order_paid.connect
        @durable("shipping.label")
        def label(sender, **extra): ...
        """,
    )
    return project


def test_the_commands_that_show_and_change_deliveries(shop):
    """The page's commands print what the page shows, one after the other."""
    send(shop, 1, 2, 13)
    with working(shop) as worker:
        wait_for(lambda: [2, 2, 3] == [state for state, _ in states(shop)])
        worker.end()
    chosen = [each for each in commands() if each[0][0] != "worker"]
    assert 7 == len(chosen)
    for command, expected in chosen:
        ended = shop.run(*ALDIS, *command)
        assert 0 == ended.returncode, (command, ended.stderr)
        assert fits(expected, ended.stdout), (command, ended.stdout)


def test_the_workers(shop):
    """Each worker of the page prints what the page shows, and exits with 0."""
    chosen = [each for each in commands() if each[0][0] == "worker"]
    assert 3 == len(chosen)
    for (_, *written), expected in chosen:
        options = [each.replace("shop:app", "more:app") for each in written]
        if "--receiver" not in options:
            options += ["--name", "harbour:4711", "--receiver", "billing.receipt"]
        with working(shop, *options) as worker:
            worker.read_until(" of order_paid")
            code, output = worker.end(signal.SIGTERM)
        assert 0 == code
        assert fits(expected, output), output


def test_the_systemd_unit():
    """Systemd accepts the unit, and the unit waits longer than the grace period."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(blocks("ini")[0])
    command = shlex.split(unit["Service"]["ExecStart"])
    assert ["worker", "--app", "shop:app"] == command[1:4]
    grace = int(command[command.index("--grace") + 1].rstrip("s"))
    assert int(unit["Service"]["TimeoutStopSec"].rstrip("s")) > grace


def test_the_example_in_python(shop):
    """The page's example in Python ends without an error."""
    (code,) = (each for each in blocks("python") if "Worker(" in each)
    shop.write("example.py", code)
    ended = shop.run(*PYTHON, "example.py")
    assert (0, "") == (ended.returncode, ended.stderr)
