"""``aldis deliveries replay``."""

import pytest

from tests.cli.deliveries.office import everywhere, said


class TestReplay:
    @everywhere
    def test_some(self, office):
        """Only the chosen dead letters become pending."""
        office.add(count=2)
        office.kill()
        office.add("shipping.label")
        office.kill("shipping.label", "TimeoutError")
        ended = office.run("replay", "--error", "timeout")
        assert (0, "1 dead letter replayed.\n") == (ended.exit_code, ended.stdout)
        assert ["DEAD", "DEAD", "PENDING"] == office.states()
        ended = office.run("replay", "--all", "--yes")
        assert "2 dead letters replayed.\n" == ended.stdout

    def test_by_number(self, office):
        """An id selects a discarded delivery, too."""
        office.add(count=3)
        office.kill()
        assert "1 delivery discarded.\n" == office.run("discard", "2").stdout
        assert "2 dead letters replayed.\n" == office.run("replay", "--all", "--yes").stdout
        assert ["PENDING", "DISCARDED", "PENDING"] == office.states()
        assert "1 delivery replayed.\n" == office.run("replay", "2").stdout

    def test_what_was_discarded(self, office):
        """With --discarded, options select among discarded deliveries."""
        office.add(count=2)
        office.kill()
        office.run("discard", "1")
        ended = office.run("replay", "--discarded", "--receiver", "billing.receipt")
        assert "1 discarded delivery replayed.\n" == ended.stdout
        assert ["PENDING", "DEAD"] == office.states()

    def test_nothing(self, office):
        """The command does not ask if there is nothing to change."""
        office.add()
        assert "0 dead letters replayed.\n" == office.run("replay", "--all").stdout

    def test_a_dry_run(self, office):
        """A dry run counts and does not ask."""
        office.add(count=2)
        office.kill()
        ended = office.run("replay", "--all", "--dry-run")
        assert (0, "2 dead letters would be replayed.\n") == (ended.exit_code, ended.stdout)
        assert ["DEAD", "DEAD"] == office.states()

    def test_nobody_to_ask(self, office):
        """Without a terminal, several deliveries need --yes."""
        office.add(count=2)
        office.kill()
        message = (
            "Error: cannot ask whether to replay 2 dead letters, because the standard input is not "
            "a terminal; nothing was changed; add --yes"
        )
        assert (2, message) == said(office.run("replay", "--all", stdin="y\n"))
        assert ["DEAD", "DEAD"] == office.states()

    def test_json(self, office):
        """The JSON contains the numbers of chosen and changed deliveries."""
        office.add(count=2)
        office.kill()
        assert {
            "schema": "aldis-deliveries-replay/1",
            "chosen": 2,
            "replayed": 2,
            "interrupted": False,
        } == office.json("replay", "--all", "--yes")

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
            ("1 99", "there is no delivery 99: it may have been pruned; nothing was changed"),
            (
                "1 2",
                (
                    "delivery 2 is pending, and only a delivery that is dead or discarded can "
                    "be replayed; "
                    "nothing was changed"
                ),
            ),
            ("one", "Invalid value for '[ID]...': 'one' is not a valid integer range."),
            (
                "--receiver billing.recipt",
                "there is no durable receiver 'billing.recipt'; did you mean 'billing.receipt'?",
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
    def test_mistakes(self, office, command, message):
        """Each mistake has its message, and nothing is changed."""
        office.add()
        office.kill()
        office.add()
        command = command.replace("--all --since", "--since")
        assert (2, f"Error: {message}") == said(office.run("replay", *command.split()))
        assert ["DEAD", "PENDING"] == office.states()
