"""``aldis deliveries discard``."""

from tests.cli.deliveries.support import LEASE, said


class TestDiscard:
    def test_dead_letters(self, deliveries):
        """The command discards dead letters, and waiting deliveries only with --waiting."""
        deliveries.add(count=2)
        deliveries.kill()
        deliveries.add(count=2)
        ended = deliveries.run("discard", "--receiver", "billing.receipt", "--yes")
        assert "2 dead letters discarded.\n" == ended.stdout
        assert ["DISCARDED", "DISCARDED", "PENDING", "PENDING"] == deliveries.states()
        ended = deliveries.run("discard", "--waiting", "--all", "--yes")
        assert "2 waiting deliveries discarded.\n" == ended.stdout
        assert ["DISCARDED"] * 4 == deliveries.states()

    def test_a_running_delivery(self, deliveries):
        """A running delivery cannot be discarded."""
        deliveries.add()
        deliveries.store.claim(LEASE, "billing.receipt", 1, ordered=False)
        assert (
            2,
            (
                "Error: delivery 1 is running, and only a delivery that is pending, suspect, "
                "behind or dead "
                "can be discarded; nothing was changed"
            ),
        ) == said(deliveries.run("discard", "1"))
