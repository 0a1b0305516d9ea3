"""``aldis deliveries stats``."""

import re

from sqlalchemy import text

from tests.cli.deliveries.support import everywhere


class TestStats:
    @everywhere
    def test_a_table(self, deliveries):
        """The table counts by receiver and state, with the oldest due delivery and the workers."""
        deliveries.add(count=2)
        deliveries.kill()
        deliveries.add(count=3)
        deliveries.add("shipping.label")
        deliveries.run("pause", "shipping.label")
        ended = deliveries.run("stats")
        assert 0 == ended.exit_code
        lines = [re.split(r" {2,}", line.strip()) for line in ended.stdout.splitlines()]
        heads = ["pending", "behind", "running", "dead", "done", "discarded", "oldest due"]
        assert ["receiver", *heads] == lines[0]
        assert ["billing.receipt", "3", "0", "0", "2", "0", "0"] == lines[1][:7]
        assert ["shipping.label", "1", "0", "0", "0", "0", "0"] == lines[2][:7]
        assert "paused" == lines[2][-1]
        assert ["all", "4", "0", "0", "2", "0", "0"] == lines[3]
        assert ["workers with a lease: quay-1"] == lines[-1]

    @everywhere
    def test_a_receiver_that_the_workers_have_paused(self, deliveries):
        """The table shows the failing receiver. A line explains the pause and its end."""
        deliveries.add(count=2)
        deliveries.store.open_breaker("billing.receipt", 10, "OSError: \x1b[2J\nno", 3700)
        ended = deliveries.run("stats")
        lines = ended.stdout.splitlines()
        assert lines[1].endswith("failing")
        assert (
            "billing.receipt has been paused by the workers for 0s, after 10 failures in a row; "
            r"they try one delivery in 1h: OSError: \x1b[2J\nno"
        ) in lines
        (receiver,) = deliveries.json("stats")["receivers"]
        assert receiver["paused"]
        breaker = receiver["breaker"]
        assert (10, 0) == (breaker["failures"], breaker["failed_trials"])
        assert 3600 < breaker["trial_in"] <= 3700
        assert 0 == deliveries.run("resume", "billing.receipt").exit_code
        (receiver,) = deliveries.json("stats")["receivers"]
        assert (False, None) == (receiver["paused"], receiver["breaker"])

    def test_an_empty_database(self, deliveries):
        """Without deliveries, the command prints a sentence."""
        assert deliveries.run("stats").stdout.startswith("There are no deliveries.\n")

    def test_an_alert(self, deliveries):
        """An alert sets the exit code 1."""
        deliveries.add(count=3)
        with deliveries.engine.begin() as connection:
            connection.execute(text("UPDATE aldis_deliveries SET due_at = due_at - 3600000000"))
        for command, alert in {
            "--older-than 15m": "alert: the oldest delivery has been due for 1h, more than 15m",
            "--more-than 2": "alert: 3 deliveries wait, more than 2",
        }.items():
            ended = deliveries.run("stats", *command.split())
            assert (1, alert) == (ended.exit_code, ended.stdout.splitlines()[-1])
        assert 0 == deliveries.run("stats", "--older-than", "2h", "--more-than", "3").exit_code

    def test_json(self, deliveries):
        """The JSON contains numbers as numbers."""
        deliveries.add(count=2)
        facts = deliveries.json("stats")
        (receiver,) = facts["receivers"]
        assert ("billing.receipt", 2, 2, 0) == tuple(
            receiver[name] for name in ("receiver", "pending", "waiting", "dead")
        )
        assert 0 <= facts["totals"]["oldest_due"] < 60
        assert ["quay-1"] == [each["name"] for each in facts["workers"]]
        assert [] == facts["alerts"]
