"""``aldis deliveries replay``."""

import signal
import subprocess
import sys
import time

import pytest

from aldis.durable.types import DeliveryFilter, State
from tests.cli.deliveries.support import everywhere, said
from tests.cli.support import ALDIS


class TestReplay:
    @everywhere
    def test_selected_dead_letters(self, deliveries):
        """Only the selected dead letters become pending."""
        deliveries.add(count=2)
        deliveries.kill()
        deliveries.add("shipping.label")
        deliveries.kill("shipping.label", "TimeoutError")
        ended = deliveries.run("replay", "--error", "timeout")
        assert (0, "1 dead letter replayed.\n") == (ended.exit_code, ended.stdout)
        assert ["DEAD", "DEAD", "PENDING"] == deliveries.states()
        ended = deliveries.run("replay", "--all", "--yes")
        assert "2 dead letters replayed.\n" == ended.stdout

    def test_an_id(self, deliveries):
        """An id also selects a discarded delivery."""
        deliveries.add(count=3)
        deliveries.kill()
        assert "1 delivery discarded.\n" == deliveries.run("discard", "2").stdout
        assert "2 dead letters replayed.\n" == deliveries.run("replay", "--all", "--yes").stdout
        assert ["PENDING", "DISCARDED", "PENDING"] == deliveries.states()
        assert "1 delivery replayed.\n" == deliveries.run("replay", "2").stdout

    def test_discarded_deliveries(self, deliveries):
        """With --discarded, options select among discarded deliveries."""
        deliveries.add(count=2)
        deliveries.kill()
        deliveries.run("discard", "1")
        ended = deliveries.run("replay", "--discarded", "--receiver", "billing.receipt")
        assert "1 discarded delivery replayed.\n" == ended.stdout
        assert ["PENDING", "DEAD"] == deliveries.states()

    def test_no_matching_delivery(self, deliveries):
        """The command does not ask if there is nothing to change."""
        deliveries.add()
        assert "0 dead letters replayed.\n" == deliveries.run("replay", "--all").stdout

    def test_a_dry_run(self, deliveries):
        """A dry run counts and does not ask."""
        deliveries.add(count=2)
        deliveries.kill()
        ended = deliveries.run("replay", "--all", "--dry-run")
        assert (0, "2 dead letters would be replayed.\n") == (ended.exit_code, ended.stdout)
        assert ["DEAD", "DEAD"] == deliveries.states()

    def test_a_question_without_a_terminal(self, deliveries):
        """Without a terminal, several deliveries need --yes."""
        deliveries.add(count=2)
        deliveries.kill()
        message = (
            "Error: cannot ask whether to replay 2 dead letters, because the standard input is not "
            "a terminal; nothing was changed; add --yes"
        )
        assert (2, message) == said(deliveries.run("replay", "--all", stdin="y\n"))
        assert ["DEAD", "DEAD"] == deliveries.states()

    def test_json(self, deliveries):
        """The JSON contains the numbers of chosen and changed deliveries."""
        deliveries.add(count=2)
        deliveries.kill()
        assert {
            "schema": "aldis-deliveries-replay/1",
            "chosen": 2,
            "replayed": 2,
            "interrupted": False,
        } == deliveries.json("replay", "--all", "--yes")

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            (
                "",
                (
                    "which deliveries to replay? Give their ids, or --receiver, --signal, "
                    "--since, --until or --error, or --all"
                ),
            ),
            ("1 --all", "ids and --all choose deliveries in two ways: leave one out"),
            ("--all --signal x", "--all and --signal choose deliveries in two ways: leave one out"),
            ("1 99", "delivery 99 does not exist: it may have been pruned; nothing was changed"),
            (
                "1 2",
                (
                    "delivery 2 is pending, and only a delivery that is dead or discarded can "
                    "be replayed; "
                    "nothing was changed"
                ),
            ),
            (
                "one",
                (
                    "Invalid value for '[ID]...': 'one' is not a whole number from 1 to "
                    "9,223,372,036,854,775,807."
                ),
            ),
            (
                "--receiver billing.recipt",
                "unknown durable receiver 'billing.recipt'; did you mean 'billing.receipt'?",
            ),
            (
                "--all --since noon",
                (
                    "Invalid value for '--since': 'noon' is not a time: write 2026-11-21, "
                    "2026-11-21T10:00 (in the machine's zone), 2026-11-21T10:00Z, or "
                    "12h for twelve "
                    "hours ago."
                ),
            ),
        ],
    )
    def test_mistakes(self, deliveries, command, message):
        """Each mistake has its message, and nothing is changed."""
        deliveries.add()
        deliveries.kill()
        deliveries.add()
        command = command.replace("--all --since", "--since")
        assert (2, f"Error: {message}") == said(deliveries.run("replay", *command.split()))
        assert ["DEAD", "PENDING"] == deliveries.states()


class TestRate:
    @everywhere
    def test_little_by_little(self, deliveries):
        """With ``--rate``, the command replays everything, and takes its time."""
        deliveries.add(count=30)
        deliveries.kill()
        started = time.monotonic()
        ended = deliveries.run("replay", "--all", "--yes", "--rate", "60/s")
        assert (0, "30 dead letters replayed.\n") == (ended.exit_code, ended.stdout)
        assert time.monotonic() - started >= 0.4
        assert ["PENDING"] * 30 == deliveries.states()

    def test_a_delivery_that_dies_again_is_replayed_once(self, deliveries):
        """The command ends although the deliveries become dead letters again."""
        deliveries.add(count=5)
        deliveries.kill()
        replayed = 0
        for size in deliveries.store.replay(DeliveryFilter(states=[State.DEAD]), batch=2):
            replayed += size
            deliveries.kill()
        assert 5 == replayed

    @pytest.mark.parametrize(
        ("rate", "problem"),
        [
            ("50", "is not a rate: write 50/s"),
            ("fast", "is not a rate: write 50/s"),
            ("-1/s", "is not a rate: write 50/s"),
            ("0/s", "would never end"),
            ("50/d", "is not a rate: write 50/s"),
        ],
    )
    def test_a_bad_rate(self, deliveries, rate, problem):
        """Another rate is refused, and nothing is changed."""
        deliveries.add()
        deliveries.kill()
        ended = deliveries.run("replay", "--all", "--yes", "--rate", rate)
        assert 2 == ended.exit_code
        assert problem in ended.stderr
        assert ["DEAD"] == deliveries.states()

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a process")
    def test_ctrl_c(self, deliveries):
        """Ctrl-C stops a slow replay at once; the command prints how many are replayed."""
        deliveries.add(count=20)
        deliveries.kill()
        command = [*ALDIS, "deliveries", "replay", "--all", "--yes", "--rate", "60/m"]
        process = subprocess.Popen(
            [*command, "--url", deliveries.url], stdout=subprocess.PIPE, text=True
        )
        while "PENDING" not in deliveries.states():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        done = deliveries.states().count("PENDING")
        assert 130 == process.returncode
        assert (
            f"Interrupted: {done} of 20 dead letters are replayed, the others are unchanged.\n"
            == output
        )
