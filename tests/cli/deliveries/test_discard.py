"""``aldis deliveries discard``."""

from tests.cli.deliveries.office import LEASE, said


class TestDiscard:
    def test_dead_letters(self, office):
        """The command discards dead letters, and waiting deliveries only with --waiting."""
        office.add(count=2)
        office.kill()
        office.add(count=2)
        ended = office.run("discard", "--receiver", "billing.receipt", "--yes")
        assert "2 dead letters discarded.\n" == ended.stdout
        assert ["DISCARDED", "DISCARDED", "PENDING", "PENDING"] == office.states()
        ended = office.run("discard", "--waiting", "--all", "--yes")
        assert "2 waiting deliveries discarded.\n" == ended.stdout
        assert ["DISCARDED"] * 4 == office.states()

    def test_what_runs(self, office):
        """A running delivery cannot be discarded."""
        office.add()
        office.store.claim(LEASE, "billing.receipt", 1, ordered=False)
        assert (
            2,
            (
                "Error: delivery 1 is running, and only a delivery that is pending, suspect, "
                "behind or dead "
                "can be discarded; nothing was changed"
            ),
        ) == said(office.run("discard", "1"))
