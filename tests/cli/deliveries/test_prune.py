"""``aldis deliveries prune``."""

import pytest

from tests.cli.deliveries.support import LEASE, everywhere, said


class TestPrune:
    @everywhere
    def test_old_deliveries_are_deleted(self, deliveries):
        """The command deletes done and discarded deliveries. It keeps dead letters."""
        deliveries.add()
        deliveries.kill()
        deliveries.add(count=3)
        deliveries.store.complete(
            deliveries.store.claim(LEASE, "billing.receipt", 2, ordered=False)
        )
        ended = deliveries.run("prune", "--older-than", "7d", "--yes")
        assert "0 completed deliveries older than 7d pruned.\n" == ended.stdout
        ended = deliveries.run("prune", "--older-than", "0s", "--dry-run")
        assert "2 completed deliveries older than 0s would be pruned.\n" == ended.stdout
        ended = deliveries.run("prune", "--older-than", "0s", "--yes")
        assert "2 completed deliveries older than 0s pruned.\n" == ended.stdout
        assert ["DEAD", "PENDING"] == deliveries.states()

    def test_the_command_asks_about_a_single_delivery(self, deliveries):
        """The command asks even about one delivery, because pruning cannot be undone."""
        deliveries.add()
        deliveries.store.complete(
            deliveries.store.claim(LEASE, "billing.receipt", 1, ordered=False)
        )
        assert 2 == deliveries.run("prune", "--older-than", "0s").exit_code
        assert ["DONE"] == deliveries.states()

    @pytest.mark.parametrize(
        ("age", "message"),
        [
            ("7", "'7' is not a duration: write 90s, 15m, 12h or 7d."),
            ("-1d", "'-1d' is not a duration: write 90s, 15m, 12h or 7d."),
            ("1w", "'1w' is not a duration: write 90s, 15m, 12h or 7d."),
            ("40000d", "'40000d' is longer than 100 years."),
        ],
    )
    def test_an_invalid_duration(self, deliveries, age, message):
        """A number without a unit or a too long duration is an error."""
        message = f"Error: Invalid value for '--older-than': {message}"
        assert (2, message) == said(deliveries.run("prune", "--older-than", age))
