"""``aldis deliveries stats``."""

import re

from sqlalchemy import text

from tests.cli.deliveries.office import everywhere


class TestStats:
    @everywhere
    def test_a_table(self, office):
        """The table counts by receiver and state, with the oldest due delivery and the workers."""
        office.add(count=2)
        office.kill()
        office.add(count=3)
        office.add("shipping.label")
        office.run("pause", "shipping.label")
        ended = office.run("stats")
        assert 0 == ended.exit_code
        lines = [re.split(r" {2,}", line.strip()) for line in ended.stdout.splitlines()]
        heads = ["pending", "behind", "running", "dead", "done", "discarded", "oldest due"]
        assert ["receiver", *heads] == lines[0]
        assert ["billing.receipt", "3", "0", "0", "2", "0", "0"] == lines[1][:7]
        assert ["shipping.label", "1", "0", "0", "0", "0", "0"] == lines[2][:7]
        assert "paused" == lines[2][-1]
        assert ["all", "4", "0", "0", "2", "0", "0"] == lines[3]
        assert ["workers with a lease: quay-1"] == lines[-1]

    def test_nothing_at_all(self, office):
        """An empty database is a sentence."""
        assert office.run("stats").stdout.startswith("There are no deliveries.\n")

    def test_an_alert(self, office):
        """An alert sets the exit code 1."""
        office.add(count=3)
        with office.engine.begin() as connection:
            connection.execute(text("UPDATE aldis_deliveries SET due_at = due_at - 3600000000"))
        for command, alert in {
            "--older-than 15m": "alert: the oldest delivery has been due for 1h, more than 15m",
            "--more-than 2": "alert: 3 deliveries wait, more than 2",
        }.items():
            ended = office.run("stats", *command.split())
            assert (1, alert) == (ended.exit_code, ended.stdout.splitlines()[-1])
        assert 0 == office.run("stats", "--older-than", "2h", "--more-than", "3").exit_code

    def test_json(self, office):
        """The JSON contains numbers as numbers."""
        office.add(count=2)
        facts = office.json("stats")
        (receiver,) = facts["receivers"]
        assert ("billing.receipt", 2, 2, 0) == tuple(
            receiver[name] for name in ("receiver", "pending", "waiting", "dead")
        )
        assert 0 <= facts["totals"]["oldest_due"] < 60
        assert ["quay-1"] == [each["name"] for each in facts["workers"]]
        assert [] == facts["alerts"]
