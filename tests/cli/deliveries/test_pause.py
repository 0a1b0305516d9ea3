"""``aldis deliveries pause`` and ``resume``."""

from tests.cli.deliveries.support import everywhere, said


class TestPause:
    @everywhere
    def test_pause_and_resume(self, deliveries):
        """A second pause or resume reports that nothing changed."""
        deliveries.add()
        for command, answer in [
            ("pause", "is paused"),
            ("pause", "was paused already"),
            ("resume", "is resumed"),
            ("resume", "was not paused"),
        ]:
            assert (
                f"billing.receipt {answer}.\n" == deliveries.run(command, "billing.receipt").stdout
            )
        facts = {"schema": "aldis-deliveries-pause/1", "receiver": "billing.receipt"}
        facts |= {"paused": True, "changed": True}
        assert facts == deliveries.json("pause", "billing.receipt")

    def test_an_unknown_receiver(self, deliveries):
        """The error has the closest name. With --force, the command pauses the receiver."""
        deliveries.add()
        hint = "; add --force for a receiver that is not known yet"
        assert (
            2,
            (
                "Error: unknown durable receiver 'billing.recipt'; did you mean "
                f"'billing.receipt'?{hint}"
            ),
        ) == said(deliveries.run("pause", "billing.recipt"))
        assert (
            "billing.refund is paused.\n"
            == deliveries.run("pause", "billing.refund", "--force").stdout
        )
        ended = deliveries.run("pause", " ", "--force")
        assert "must have 1 to 190 printable characters and no space around them" in ended.stderr
