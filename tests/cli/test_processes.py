"""Each command runs once in a new interpreter, as a user starts it.

Other tests run commands in forks of a process that has already imported the libraries.
"""

import sqlite3
from contextlib import closing

import click
import pytest

from aldis.cli import aldis
from tests.cli.durable_shop import write_shop
from tests.cli.support import ALDIS

#: Every command with its arguments and a part of its output. `aldis run` has its own tests.
COMMANDS = {
    "signals list": ((), "order_paid"),
    "signals explain": (("order_paid",), "it calls 1 of 1 receiver"),
    "signals check": ((), "Nothing is wrong"),
    "signals trace": (("--", "/"), "GET / -> 404 NOT FOUND"),
    "db upgrade": ((), "were up to date"),
    "db check": ((), "Nothing is wrong with the tables"),
    "db current": ((), "(the newest)"),
    "check": ((), "1 finding"),
    "deliveries stats": ((), "billing.receipt"),
    "deliveries pending": ((), "No delivery is pending."),
    "deliveries running": ((), "No delivery is running."),
    "deliveries dead": ((), "billing.receipt"),
    "deliveries show": (("1",), "delivery 1  dead"),
    "deliveries replay": (("1", "--dry-run"), "1 delivery would be replayed."),
    "deliveries discard": (("1", "--dry-run"), "1 delivery would be discarded."),
    "deliveries pause": (("billing.receipt",), "billing.receipt is paused."),
    "deliveries resume": (("billing.receipt",), "billing.receipt was not paused."),
    "deliveries prune": (
        ("--older-than", "1d", "--dry-run"),
        "0 completed deliveries older than 1d would be pruned.",
    ),
}


def leaves(group, way=()):
    """Return the full names of all commands of a group."""
    found = set()
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= leaves(command, (*way, name))
        else:
            found.add(" ".join((*way, name)))
    return found


@pytest.fixture
def shop(project):
    """Give a folder with the shop and a dead letter."""
    write_shop(project)
    with closing(sqlite3.connect(project.folder / "shop.db")) as connection:
        connection.execute(
            "INSERT INTO aldis_deliveries (emission_id, receiver, signal, payload, state)"
            " VALUES ('e', 'billing.receipt', 'order_paid', '{}', 3)"
        )
        connection.commit()
    return project


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_in_a_new_interpreter(shop, name):
    """The command starts, finds the app and prints its result."""
    arguments, printed = COMMANDS[name]
    ended = shop.run(*ALDIS, *name.split(), "--app", "shop", *arguments, anew=True)
    assert (1 if name == "check" else 0, "") == (ended.returncode, ended.stderr)
    assert printed.casefold() in ended.stdout.casefold()


def test_the_list_has_every_command():
    """A new command needs an entry, unless its own tests start interpreters."""
    assert set(COMMANDS) == leaves(aldis) - {"run", "web", "worker"}


@pytest.mark.slow
def test_the_worker_in_a_new_interpreter(shop):
    """The worker starts, and ends at once after SIGTERM."""
    process = shop.start(*ALDIS, "worker", "--app", "shop", anew=True)
    try:
        assert process.stdout.readline().startswith("worker ")
        assert "  billing.receipt of order_paid\n" == process.stdout.readline()
        process.terminate()
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait(10)
    assert (0, True) == (process.returncode, output.endswith("0 done, 0 failed\n"))


def test_the_version_in_a_new_interpreter(project):
    """``aldis --version`` needs no app."""
    ended = project.run(*ALDIS, "--version", anew=True)
    assert (0, "", "aldis ") == (ended.returncode, ended.stderr, ended.stdout[:6])
