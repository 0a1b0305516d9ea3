"""Notes and errors that help an operator, and the commands that show a worker."""

import json
import signal
import sqlite3
from contextlib import closing

import pytest

from aldis.durable.types import NewDelivery
from tests.cli.deliveries.support import Deliveries
from tests.cli.durable_shop import send, wait_for, write_shop
from tests.cli.support import ALDIS
from tests.durable.sql.databases import database


@pytest.fixture
def deliveries(tmp_path):
    """Give a file of SQLite with a dead letter."""
    with database("sqlite", tmp_path) as url:
        deliveries = Deliveries(url)
        deliveries.add()
        deliveries.kill()
        yield deliveries
        deliveries.engine.dispose()


@pytest.fixture
def shop(project):
    """Give a folder with the shop, its tables, and a dead letter of number 13."""
    write_shop(project)
    return project


class TestNothingFound:
    @pytest.mark.parametrize("name", ["dead", "pending", "running"])
    def test_a_signal_without_deliveries(self, deliveries, name):
        """If no delivery has the signal, the command prints a note."""
        ended = deliveries.run(name, "--signal", "nope")
        expected = f"No delivery is {name}.\nNo delivery has the signal 'nope'.\n"
        assert (0, expected) == (ended.exit_code, ended.stdout)

    def test_a_signal_with_deliveries_in_another_state(self, deliveries):
        """If a delivery in another state has the signal, the command prints no note."""
        ended = deliveries.run("pending", "--signal", "order_paid")
        assert "No delivery is pending.\n" == ended.stdout

    def test_json(self, deliveries):
        """The JSON does not contain the note."""
        expected = {"schema": "aldis-deliveries-list/1", "total": 0, "deliveries": []}
        assert expected == deliveries.json("dead", "--signal", "nope")
        found = deliveries.json("replay", "--signal", "nope")
        assert {"schema", "chosen", "replayed", "interrupted"} == set(found)

    @pytest.mark.parametrize(
        ("command", "count"),
        [
            (("replay",), "0 dead letters replayed."),
            (("replay", "--dry-run"), "0 dead letters would be replayed."),
            (("discard", "--waiting"), "0 waiting deliveries discarded."),
        ],
    )
    def test_commands_that_change_deliveries_print_the_note(self, deliveries, command, count):
        """The note follows the count of changed deliveries."""
        ended = deliveries.run(*command, "--signal", "nope")
        assert f"{count}\nNo delivery has the signal 'nope'.\n" == ended.stdout
        assert ["DEAD"] == deliveries.states()

    def test_the_note_suggests_a_signal(self, shop):
        """The note suggests a signal of the app's durable receivers."""
        ended = shop.run(*ALDIS, "deliveries", "dead", "--app", "shop", "--signal", "order-payed")
        expected = "No delivery has the signal 'order-payed'; did you mean 'order_paid'?"
        assert expected == ended.stdout.splitlines()[-1]
        known = shop.run(
            *ALDIS, "deliveries", "dead", "--app", "shop", "--receiver", "billing.receipt"
        )
        expected = "No delivery has the receiver 'billing.receipt'."
        assert expected == known.stdout.splitlines()[-1]

    def test_an_unknown_receiver(self, shop):
        """An unknown receiver is an error that lists the known ones."""
        ended = shop.run(*ALDIS, "deliveries", "dead", "--app", "shop", "--receiver", "nope")
        expected = "Error: unknown durable receiver 'nope'; choose one of 'billing.receipt'\n"
        assert (2, expected) == (ended.returncode, ended.stderr)


class TestWorker:
    def test_a_wrong_receiver(self, shop):
        """An unknown receiver is an error that lists the known ones."""
        ended = shop.run(*ALDIS, "worker", "--app", "shop", "--receiver", "nope")
        expected = "Error: unknown durable receiver 'nope'; choose one of 'billing.receipt'\n"
        assert (2, expected) == (ended.returncode, ended.stderr)

    def test_the_output_of_receivers_is_not_buffered(self, shop):
        """The output of receivers is in the file at once, while the worker runs."""
        source = shop.folder / "receivers.py"
        source.write_text(
            source.read_text().replace('Path(f"begun', 'print(order_id); Path(f"begun')
        )
        send(shop, 7)
        output = shop.folder / "worker.log"
        process = shop.start(
            "sh", "-c", 'exec "$0" "$@" > worker.log', *ALDIS, "worker", "-A", "shop"
        )
        try:
            wait_for(lambda: output.exists() and "7\n" == output.read_text())
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        assert 0 == process.returncode

    def test_a_killed_worker_is_shown_as_silent(self, shop):
        """Its delivery is shown as running. The worker is silent after its lease has expired."""
        send(shop, 100)
        process = shop.start(*ALDIS, "worker", "--app", "shop", "--name", "quay-1")
        try:
            wait_for((shop.folder / "begun-100").exists)
        finally:
            process.kill()
            process.communicate(timeout=20)
        with closing(sqlite3.connect(shop.folder / "shop.db")) as connection:
            connection.execute("UPDATE aldis_workers SET expires_at = 0")
            connection.commit()
        ended = shop.run(*ALDIS, "deliveries", "running", "--app", "shop")
        assert ended.stdout.splitlines()[-1].endswith("1  quay-1 (silent)")
        shown = shop.run(*ALDIS, "deliveries", "show", "1", "--app", "shop")
        assert ["worker", "quay-1", "(silent)"] in map(str.split, shown.stdout.splitlines())
        found = shop.run(*ALDIS, "deliveries", "show", "1", "--app", "shop", "--json")
        assert "quay-1" == json.loads(found.stdout)["delivery"]["worker"]


def test_hostile_names_in_the_tables(deliveries):
    """Names in the tables cannot send escape sequences to a terminal, not even in errors."""
    for receiver in ("\x1b[2J", "billing.copy"):
        new = NewDelivery("f" * 32, receiver, "order_paid", "{}")
        deliveries.store.add(None, [new])
    asked = deliveries.run("show", "f" * 32)
    expected = r"name one of 2 (\x1b[2J), 3 (billing.copy)"
    assert (2, expected) == (asked.exit_code, asked.stderr.strip().partition("deliveries: ")[2])
    wrong = deliveries.run("stats", "--receiver", "nope")
    # More names may follow, because this process has the receivers of other tests.
    assert wrong.stderr.partition("; ")[2].startswith(r"choose one of '\x1b[2J', ")
    assert "\x1b" not in wrong.stderr
