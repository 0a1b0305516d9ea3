"""``senders=[...]`` connects a receiver for several senders at once."""

import pytest

import aldis
from aldis.errors import ContractError, SenderWarning, UnboundSenderError
from tests.core.support import Sender


def receive(sender, **extra):
    """Receive."""
    return sender


class Proxy:
    """Stands for another object."""

    def __init__(self, *target):
        self._target = target

    def _get_current_object(self):
        if not self._target:
            raise RuntimeError
        return self._target[0]


class TestSenders:
    def test_each_sender_reaches_the_receiver(self, signal):
        """No other sender does."""
        me = Sender()
        signal.connect(receive, senders=["north", 7, me])
        assert [[], ["north"], [7], [me]] == [
            [value for _, value in signal.send(each)] for each in ("south", "north", 7, me)
        ]

    @pytest.mark.parametrize(
        "make", [list, tuple, set, frozenset, iter, dict.fromkeys, lambda them: (a for a in them)]
    )
    def test_any_iterable(self, signal, make):
        """A list, tuple, set, iterator, generator or dict will do."""
        signal.connect(receive, senders=make(["north", "south"]))
        assert signal.send("north")
        assert signal.send("south")

    def test_as_a_decorator(self, signal):
        """The decorator connects more than one function."""
        connect = signal.connect(senders=iter(["north", "south"]), weak=False)
        connect(lambda sender, **extra: 1)
        connect(lambda sender, **extra: 2)
        assert [1, 2] == [value for _, value in signal.send("south")]

    def test_during_a_block(self, signal):
        """``connected_to`` disconnects from all of them."""
        with signal.connected_to(receive, senders=["north", "south"]):
            assert signal.send("north")
            assert signal.send("south")
        assert not signal.receivers

    def test_disconnecting(self, signal):
        """``disconnect`` takes several senders, too."""
        signal.connect(receive, senders=["a", "b", "c"])
        signal.disconnect(receive, senders=["a", "c", "x"])
        assert [False, True, False] == [bool(signal.send(each)) for each in "abc"]

    def test_proxies_and_any(self, signal):
        """A proxy stands for its object, and ``ANY`` for every sender."""
        signal.connect(receive, senders=[Proxy("north"), aldis.ANY])
        assert [(receive, "north")] == signal.send("north")
        assert [(receive, "south")] == signal.send("south")

    def test_explain(self, signal):
        """Each sender has a row."""
        signal.connect(receive, senders=["a", "b"], dispatch_uid="x")
        rows = [(row.sender, row.dispatch_uid) for row in signal.explain().rows]
        assert [("'a'", "x"), ("'b'", "x")] == rows


class TestAllOrNone:
    def test_a_proxy_without_an_object(self, signal):
        """Nothing is connected."""
        with pytest.raises(UnboundSenderError):
            signal.connect(receive, senders=["north", Proxy()])
        assert not signal.receivers

    def test_a_sender_that_breaks_the_contract(self, shop):
        """The earlier senders are disconnected, and earlier connections stay."""

        @shop.define
        def paid(sender: str, /) -> None:
            """Sent."""

        paid.connect(receive, "north")
        with pytest.raises(ContractError):
            paid.connect(receive, senders=["north", "south", 7])
        assert (1, 0) == (len(paid.send("north")), len(paid.send("south")))

    def test_a_receiver_of_receiver_connected_that_raises(self, signal):
        """Every connection of the call is undone."""

        def refuse(meta, /, sender, **payload):
            if sender == "south":
                raise LookupError

        signal.receiver_connected.connect(refuse)
        with pytest.raises(LookupError):
            signal.connect(receive, senders=["north", "south"])
        assert not signal.receivers


class TestErrors:
    @pytest.mark.parametrize("senders", ["north", b"north", 7, Sender, object()])
    def test_not_a_list(self, signal, senders):
        """The error names the argument for one sender."""
        with pytest.raises(TypeError, match=r"must be a list of senders, .* write sender="):
            signal.connect(receive, senders=senders)

    def test_an_empty_list(self, signal):
        """The receiver would never be called."""
        with pytest.raises(ValueError, match="senders= is empty"):
            signal.connect(receive, senders=[])

    def test_both(self, signal):
        """Two arguments for the sender are a mistake."""
        with pytest.raises(TypeError, match="both given"):
            signal.connect(receive, "north", senders=["south"])


COLLECTIONS = {
    "list": ["north"],
    "tuple": ("north", "south"),
    "set": {"north"},
    "frozenset": frozenset(["north"]),
    "dict_keys": {"north": 1}.keys(),
    "dict_values": {"north": 1}.values(),
}


class TestAListAsSender:
    """A list stays one sender, as on blinker, but the connection warns."""

    @pytest.mark.parametrize("kind", COLLECTIONS)
    @pytest.mark.parametrize(
        "connect",
        [
            lambda signal, sender: signal.connect(receive, sender),
            lambda signal, sender: signal.connect(receive, sender=sender, dispatch_uid="x"),
            lambda signal, sender: signal.connect_via(sender)(receive),
            lambda signal, sender: signal.subscribe(receive, sender),
            lambda signal, sender: signal.connected_to(receive, sender).__enter__(),
            lambda signal, sender: signal.disconnect(receive, sender),
        ],
        ids=["connect", "connect with a uid", "connect_via", "subscribe", "connected_to", "disc"],
    )
    def test_the_warning_names_senders(self, signal, kind, connect):
        """It comes at each connection, also if the last sender had this type."""
        for _ in range(2):
            with pytest.warns(
                SenderWarning, match=rf"is a {kind} with .* write senders=\[\.\.\.\]"
            ):
                connect(signal, COLLECTIONS[kind])

    def test_a_generator(self, signal):
        """A generator is not a sender either."""
        with pytest.warns(SenderWarning, match="is a generator,"):
            signal.connect(receive, (each for each in "ab"))

    def test_the_list_itself_matches(self, signal):
        """A send from the list calls the receiver."""
        sender = ["north"]
        with pytest.warns(SenderWarning):
            signal.connect(receive, sender)
        assert [(receive, sender)] == signal.send(sender)
        signal.disconnect(receive, sender)
        assert [] == signal.send(sender)

    def test_an_empty_list_is_a_sender(self, signal):
        """It contains no sender that was meant."""
        sender = []
        signal.connect(receive, sender)
        assert signal.send(sender)

    def test_a_subclass_is_a_sender(self, signal):
        """Only the built-in types contain senders; a subclass has a meaning of its own."""

        class Shelf(list):
            """Is a sender."""

        signal.connect(receive, Shelf("a"))
