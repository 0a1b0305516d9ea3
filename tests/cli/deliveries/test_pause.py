"""``aldis deliveries pause`` and ``resume``."""

from tests.cli.deliveries.office import everywhere, said


class TestPause:
    @everywhere
    def test_pause_and_resume(self, office):
        """A second pause or resume reports that nothing changed."""
        office.add()
        for command, answer in [
            ("pause", "is paused"),
            ("pause", "was paused already"),
            ("resume", "is resumed"),
            ("resume", "was not paused"),
        ]:
            assert f"billing.receipt {answer}.\n" == office.run(command, "billing.receipt").stdout
        facts = {"schema": "aldis-deliveries-pause/1", "receiver": "billing.receipt"}
        facts |= {"paused": True, "changed": True}
        assert facts == office.json("pause", "billing.receipt")

    def test_unknown(self, office):
        """An unknown receiver is an error with the closest name, except with --force."""
        office.add()
        hint = "; add --force for a receiver that is not known yet"
        assert (
            2,
            (
                "Error: there is no durable receiver 'billing.recipt'; did you mean "
                f"'billing.receipt'?{hint}"
            ),
        ) == said(office.run("pause", "billing.recipt"))
        assert (
            "billing.refund is paused.\n" == office.run("pause", "billing.refund", "--force").stdout
        )
        ended = office.run("pause", " ", "--force")
        assert "must have 1 to 190 printable characters and no space around them" in ended.stderr
