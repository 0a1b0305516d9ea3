"""The rules of dispatch about order, snapshots, senders and weak references."""

import gc
from enum import IntEnum, StrEnum
from types import MethodType
from weakref import ref

import pytest

import aldis
from tests.core.support import Recorder, Sender, resend


def receive(sender, **extra):
    """Receive anything."""
    return sender


def receivers_of(results):
    """Return the receivers that were called, in order."""
    return [receiver for receiver, _ in results]


class TestRule1Order:
    def test_connection_order_across_any_sender_and_this_sender(self, signal):
        """Receivers of any sender and of this sender run in one connection order."""
        first, second, third, fourth = (Recorder() for _ in range(4))
        signal.connect(first, "north")
        signal.connect(second)
        signal.connect(third, "north")
        signal.connect(fourth)
        assert [first, second, third, fourth] == receivers_of(resend(signal, "north"))
        assert [second, fourth] == receivers_of(resend(signal, "south"))

    def test_connecting_again_keeps_the_place(self, signal):
        """A receiver that is connected again keeps its place in the order."""
        first, second = Recorder(), Recorder()
        signal.connect(first)
        signal.connect(second)
        signal.connect(first, weak=False)
        assert [first, second] == receivers_of(resend(signal))

    def test_connecting_after_a_disconnect_takes_the_last_place(self, signal):
        """A receiver that was disconnected and connected again runs last."""
        first, second = Recorder(), Recorder()
        signal.connect(first)
        signal.connect(second)
        signal.disconnect(first)
        signal.connect(first)
        assert [second, first] == receivers_of(resend(signal))

    def test_a_receiver_of_this_sender_and_of_any_is_called_once(self, signal):
        """One receiver connected twice for a sender runs once, at its earlier place."""
        both, other = Recorder(), Recorder()
        signal.connect(both, "north")
        signal.connect(other)
        signal.connect(both)
        assert [both, other] == receivers_of(resend(signal, "north"))
        assert [other, both] == receivers_of(resend(signal, "south"))


class TestRule2Snapshot:
    @pytest.mark.parametrize("scope", [aldis.ANY, "north"], ids=["all", "scoped"])
    @pytest.mark.parametrize("weak", [True, False])
    @pytest.mark.parametrize("sender", [aldis.ANY, "north"], ids=["for any", "for north"])
    def test_a_receiver_disconnected_during_the_send_is_skipped(
        self, signal, timing, sender, weak, scope
    ):
        """A send does not call a receiver that an earlier receiver has disconnected."""
        later = Recorder()

        def first(sent_by):
            if timing.now:
                signal.disconnect(later, scope if sender is not aldis.ANY else aldis.ANY)

        signal.connect(first)
        signal.connect(later, sender, weak=weak)
        assert [first] == receivers_of(timing.send(signal, "north"))

    @pytest.mark.parametrize("weak", [True, False])
    def test_a_method_disconnected_during_the_send_is_skipped(self, signal, timing, weak):
        """A send does not call a bound method that an earlier receiver has disconnected."""
        later = Recorder()

        def first(sender):
            if timing.now:
                signal.disconnect(later.__call__)

        signal.connect(first)
        signal.connect(later.__call__, weak=weak)
        assert [first] == receivers_of(timing.send(signal))

    def test_a_list_method_disconnected_during_the_send_is_skipped(self, signal, timing):
        """A send does not call a method of a list that an earlier receiver has disconnected."""
        heard = []

        def first(sender):
            heard.clear()
            if timing.now:
                signal.disconnect(heard.append)

        signal.connect(first)
        signal.connect(heard.append, weak=False)
        assert [first] == receivers_of(timing.send(signal))
        assert [] == heard

    @pytest.mark.parametrize("method", [False, True])
    def test_a_receiver_that_died_during_the_send_is_skipped(self, signal, timing, method):
        """A send does not call a receiver whose last reference an earlier receiver has dropped."""
        kept = [Recorder()]

        def first(sender):
            if timing.now:
                kept.clear()

        signal.connect(first)
        signal.connect(kept[0].__call__ if method else kept[0])
        assert [first] == receivers_of(timing.send(signal))

    @pytest.mark.parametrize("sender", [aldis.ANY, "north"], ids=["for any", "for north"])
    def test_a_receiver_connected_during_the_send_waits_for_the_next(self, signal, timing, sender):
        """A receiver that an earlier receiver connects is called from the next send on."""
        late = Recorder()

        def first(sent_by):
            if timing.now:
                signal.connect(late, sender)

        signal.connect(first)
        assert [first] == receivers_of(timing.send(signal, "north"))
        assert [first, late] == receivers_of(signal.send("north"))

    def test_a_receiver_connected_again_during_the_send_waits_for_the_next(self, signal, timing):
        """Disconnecting and connecting during a send makes a new subscription."""
        later = Recorder()

        def first(sender):
            if timing.now:
                signal.disconnect(later)
                signal.connect(later)

        signal.connect(first)
        signal.connect(later)
        assert [first] == receivers_of(timing.send(signal))

    def test_muting_during_the_send_waits_for_the_next(self, signal, timing):
        """A receiver cannot mute the running send."""
        later = Recorder()

        def first(sender):
            signal.is_muted = timing.now

        signal.connect(first)
        signal.connect(later)
        assert [first, later] == receivers_of(timing.send(signal))
        assert [] == signal.send()

    def test_a_receiver_may_send_the_same_signal(self, signal):
        """A receiver may send its own signal. That send is independent."""
        heard = []

        def again(sender):
            heard.append(sender)
            if sender:
                signal.send(sender - 1)

        signal.connect(again)
        signal.send(3)
        assert [3, 2, 1, 0] == heard


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class TestRule3Senders:
    @pytest.mark.filterwarnings("ignore::aldis.errors.SenderWarning")  # the senders are lists
    def test_objects_are_matched_by_identity(self, signal):
        """Two equal objects are two senders."""
        one, equal = [1], [1]
        signal.connect(receive, one)
        assert [(receive, one)] == resend(signal, one)
        assert [] == resend(signal, equal)

    @pytest.mark.parametrize(
        ("connected", "sent"),
        [
            ("no" + "rth", "north"),
            (10**20, 10**20),
            (Colour.RED, "red"),
            ("red", Colour.RED),
            (Level.HIGH, 3),
            (3, Level.HIGH),
            (None, None),
            (True, True),
        ],
    )
    def test_values_that_match(self, signal, connected, sent):
        """``str``, ``int`` and their enums are matched by their plain value."""
        signal.connect(receive, connected)
        assert [(receive, sent)] == resend(signal, sent)

    @pytest.mark.parametrize(
        ("connected", "sent"),
        [(1, True), (True, 1), (0, False), (False, 0), (0, None), (1, 1.0), ("1", 1), (b"a", "a")],
    )
    def test_values_that_do_not_match(self, signal, connected, sent):
        """A ``bool`` does not match an ``int``, and values of different types do not match."""
        signal.connect(receive, connected)
        assert [] == resend(signal, sent)

    def test_an_overridden_hash_changes_nothing(self, signal):
        """A subclass of ``str`` or ``int`` is matched by its value, without its ``__eq__``."""

        class Text(str):
            __slots__ = ()
            __hash__ = None

            def __eq__(self, other):
                raise AssertionError

            def __str__(self):
                return "somebody else"

        class Number(int):
            __hash__ = None

            def __int__(self):
                return 0

        signal.connect(receive, Text("north"))
        signal.connect(receive, Number(7))
        assert 1 == len(signal.send("north"))
        assert 1 == len(signal.send(7))

    def test_a_send_without_a_sender_is_a_send_from_none(self, signal):
        """A send without a sender calls the receivers of the sender ``None``."""
        signal.connect(receive, None)
        assert [(receive, None)] == resend(signal)
        assert [] == resend(signal, "north")

    def test_a_sender_without_weak_references_is_kept_until_the_disconnect(self, signal):
        """A connection keeps a slotted sender alive, so no other object gets its id."""
        dropped = []

        class Slotted:
            __slots__ = ()

            def __del__(self):
                dropped.append(True)

        sender = Slotted()
        signal.connect(receive, sender)
        del sender
        assert [] == dropped
        signal.disconnect(receive)
        assert [True] == dropped

    def test_the_connections_of_a_dead_sender_end(self, signal):
        """Another object that gets the id of a dead sender has no receivers."""
        sender = Sender()
        signal.connect(receive, sender)
        del sender
        assert not signal.receivers
        assert all(signal.send(Sender()) == [] for _ in range(50))


class TestRule4Weakness:
    def test_a_receiver_is_held_weakly_by_default(self, signal):
        """A receiver without another reference dies."""
        signal.connect(Recorder())
        assert [] == resend(signal)
        assert 0 == len(signal.receivers)

    def test_weak_false_holds_a_receiver_strongly(self, signal):
        """``weak=False`` keeps the receiver."""
        signal.connect(Recorder(), weak=False)
        assert 1 == len(signal.send())

    @pytest.mark.parametrize("decorate", ["connect_via", "connect"])
    def test_decorators_differ_in_strength(self, signal, decorate):
        """``connect_via`` holds strongly, as in blinker. ``connect(sender=x)`` holds weakly."""
        getattr(signal, decorate)(sender="north")(lambda sender: None)
        assert (1 if decorate == "connect_via" else 0) == len(signal.send("north"))

    def test_a_method_lives_as_long_as_its_object(self, signal):
        """A weak bound method is called as long as its object is alive."""
        recorder = Recorder()
        signal.connect(recorder.__call__)
        signal.send("north")
        assert ["north"] == recorder.senders
        alive = ref(recorder)
        del recorder
        assert alive() is None
        assert [] == resend(signal, "south")

    def test_a_method_whose_function_was_dropped_is_disconnected(self, signal):
        """A bound method is disconnected when its class no longer refers to the function."""
        sender = Sender()
        signal.connect(MethodType(lambda self, sent_by: None, sender))
        assert [] == resend(signal)
        assert not signal.receivers

    def test_each_subscription_has_its_own_strength(self, signal):
        """After the strong connection has ended, the weak one does not keep the receiver alive."""
        receiver = Recorder()
        signal.connect(receiver, "north", weak=False)
        signal.connect(receiver, "south")
        signal.disconnect(receiver, "north")
        del receiver
        assert [] == resend(signal, "south")

    def test_connecting_again_changes_the_strength(self, signal):
        """The last ``connect`` for a sender decides whether the receiver is held weakly."""
        receiver = Recorder()
        signal.connect(receiver, weak=False)
        signal.connect(receiver, weak=True)
        del receiver
        assert [] == resend(signal)

    @pytest.mark.parametrize("part", ["receiver", "object sender", "str sender", "method"])
    def test_short_lived_connections_do_not_grow_the_tables(self, signal, part):
        """No table grows when connections begin and end."""
        keep = Recorder()
        for number in range(200):
            if part == "receiver":
                signal.connect(Recorder())
            elif part == "method":
                signal.connect(Recorder().__call__, "north")
            elif part == "object sender":
                signal.connect(keep, Sender())
            else:
                signal.connect(keep, f"sender {number}")
                signal.disconnect(keep, f"sender {number}")
        signal._cleanup_bookkeeping()
        registry = signal._registry
        assert ({}, {}, 0) == (registry.receivers, registry.senders, len(registry.dead))

    def test_a_dead_signal_releases_its_strong_receivers(self):
        """A strong receiver is freed with its signal, without the garbage collector."""
        gc.disable()
        try:
            signal, receiver = aldis.Signal(), Recorder()
            for sender in (aldis.ANY, "north", Sender):
                signal.connect(receiver, sender, weak=False)
            signal.send("north")
            alive = ref(receiver)
            del receiver, signal
            assert alive() is None
        finally:
            gc.enable()
