"""``explain`` lists the receivers that a send would call, and the reasons for the others."""

import re

import pytest

import aldis
from aldis.receivers import once, robust
from tests.core.support import Recorder, Sender, line_of


def receive(sender, **extra):
    """Receive anything."""


async def wait(sender, **extra):
    """Be awaited."""


@robust
def sturdy(sender, **extra):
    """Receive any arguments."""


class TestRows:
    def test_a_row_describes_a_subscription(self, shop):
        """A row has the receiver's name, location, sender, strength, delivery mode and kind."""
        paid = shop.signal("paid")
        paid.connect(receive, "north")
        paid.connect(wait, weak=False)
        paid.connect(sturdy, 7)
        rows = paid.explain().rows
        facts = [
            (row.receiver, row.location, row.sender, row.strength, row.delivery) for row in rows
        ]
        assert [
            ("receive", line_of(receive), "'north'", "weak", "plain"),
            ("wait", line_of(wait), "any sender", "strong", "plain"),
            ("sturdy", line_of(sturdy.__wrapped__), "7", "weak", "robust"),
        ] == facts
        assert [False, True, False] == [row.is_async for row in rows]
        assert [True, True, True] == [row.runs for row in rows]

    def test_a_receiver_of_another_sender_does_not_run(self, signal):
        """The obstacle names the sender that the receiver is connected for."""
        signal.connect(receive, "north")
        [row] = signal.explain("south").rows
        assert not row.runs
        assert "it listens to 'north' only" == row.obstacle
        assert signal.explain("north").rows[0].runs

    def test_a_second_connection_of_the_same_receiver_does_not_run(self, signal):
        """A receiver of this sender and of any sender is called by its earlier connection."""
        signal.connect(receive)
        signal.connect(receive, "north")
        assert [None, "an earlier connection calls it, and a send calls each receiver once"] == [
            row.obstacle for row in signal.explain("north").rows
        ]
        assert [None, "it listens to 'north' only"] == [
            row.obstacle for row in signal.explain("south").rows
        ]
        assert [None, None] == [row.obstacle for row in signal.explain().rows]

    def test_the_rows_that_run_are_the_receivers_that_send_calls(self, signal):
        """The rows that run name the receivers that a send calls, in the order of the calls."""
        receivers = [Recorder() for _ in range(6)]
        for number, receiver in enumerate(receivers):
            signal.connect(receiver, ["north", aldis.ANY, "south"][number % 3])
        explained = [row.runs for row in signal.explain("north").rows]
        called = [receiver for receiver, _ in signal.send("north")]
        assert explained == [receiver in called for receiver in receivers]

    def test_built_in_receivers_have_no_source(self, signal):
        """A receiver in C has no location."""
        signal.connect([].append, weak=False)
        [row] = signal.explain().rows
        assert ("list.append", None, "strong") == (row.receiver, row.location, row.strength)

    def test_a_method_with_a_delivery_mode(self, signal):
        """A row of a decorated method shows its delivery mode."""

        class Post:
            @once
            def letter(self, sender):
                """Receive."""

        post = Post()
        signal.connect(post.letter)
        [row] = signal.explain().rows
        assert ("once", "strong") == (row.delivery, row.strength)


class TestSenders:
    @pytest.mark.parametrize(
        ("sender", "words"),
        [
            (aldis.ANY, "any sender"),
            (None, "None"),
            (True, "True"),
            ("x" * 80, f"'{'x' * 56}..."),
            (Sender, "<type 'Sender'>"),
            (aldis.NamedSignal("lit"), "<NamedSignal 'lit'>"),
        ],
    )
    def test_a_sender_has_a_short_description(self, signal, sender, words):
        """The description is the sender's name, if it has one."""
        assert words == signal.explain(sender).sender

    def test_no_code_of_a_sender_runs(self, signal):
        """``explain`` does not call a sender's ``__repr__`` and ignores a property that raises."""

        class Difficult:
            def __repr__(self):
                raise AssertionError

            @property
            def name(self):
                raise LookupError("not loaded")

        words = signal.explain(Difficult()).sender
        assert re.fullmatch(r"<TestSenders\.\S+\.Difficult at 0x[0-9a-f]+>", words)


class TestText:
    def test_the_whole_text(self, shop):
        """The text numbers the receivers that run and explains why the others do not run."""
        paid = shop.signal("paid")
        paid.connect(receive, "north")
        paid.connect(wait, "south")
        paid.connect([].append, weak=False)
        expected = f"""\
paid, sent by 'north':
  1. receive ({line_of(receive)}) for 'north', weak, plain
  - wait ({line_of(wait)}) for 'south', async, weak, plain
     not called: it listens to 'south' only
  2. list.append (no source) for any sender, strong, plain"""
        assert expected == str(paid.explain("north"))

    def test_a_signal_without_receivers(self, signal):
        """The text states that no receiver is connected."""
        assert "an unnamed signal, sent by any sender:\n  no receiver is connected" == str(
            signal.explain()
        )

    def test_notes(self, signal):
        """Notes report a muted signal and an overridden ``receivers_for``."""
        signal.connect(receive)
        signal.receivers_for = lambda sender: []
        with signal.muted():
            explained = signal.explain()
        notes = (
            "the signal is muted: a send calls no receiver",
            "receivers_for is overridden and may choose other receivers than these",
        )
        assert notes == explained.notes
        assert [f"  note: {note}" for note in notes] == str(explained).splitlines()[1:3]


class TestAddresses:
    """A message shows an address only where readers compare two senders."""

    @pytest.mark.parametrize(
        "connect",
        [
            lambda signal, sender: signal.connect(receive, sender),
            lambda signal, sender: signal.connect(receive, sender, subclasses=True),
            lambda signal, sender: signal.connect(receive, senders=sender),
            lambda signal, sender: signal.connect(receive, dispatch_uid=sender),
        ],
        ids=["contract", "subclasses", "senders", "dispatch_uid"],
    )
    def test_an_error_shows_the_type(self, shop, connect):
        """The text has no address."""

        @shop.define
        def paid(sender: str, /, **extra) -> None:
            """Sent."""

        with pytest.raises(TypeError) as raised:
            connect(paid, Sender())
        assert "<Sender object>" in str(raised.value)
        assert "0x" not in str(raised.value)

    def test_a_warning_of_strict_mode_shows_the_type(self, shop):
        """The text has no address."""

        @shop.define
        def paid(sender: str, /, **extra) -> None:
            """Sent."""

        aldis.set_strict(True)
        with pytest.warns(aldis.errors.StrictWarning, match="by the sender <Sender object>, which"):
            paid.send(Sender())

    def test_explain_tells_two_senders_apart(self, signal):
        """Two objects of one type have two texts."""
        one, two = Sender(), Sender()
        signal.connect(receive, senders=[one, two])
        assert 2 == len({row.sender for row in signal.explain().rows})
