"""The rules of dispatch, one class each: order, snapshot, senders, weakness."""

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
        """A receiver that is connected again stays where it was."""
        first, second = Recorder(), Recorder()
        signal.connect(first)
        signal.connect(second)
        signal.connect(first, weak=False)
        assert [first, second] == receivers_of(resend(signal))

    def test_connecting_after_a_disconnect_takes_the_last_place(self, signal):
        """A receiver that was disconnected and connected anew runs last."""
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
    def test_one_disconnected_meanwhile_is_skipped(self, signal, turn, sender, weak, scope):
        """A receiver that an earlier one disconnected is not called any more."""
        later = Recorder()

        def first(sent_by):
            if turn.now:
                signal.disconnect(later, scope if sender is not aldis.ANY else aldis.ANY)

        signal.connect(first)
        signal.connect(later, sender, weak=weak)
        assert [first] == receivers_of(turn.send(signal, "north"))

    @pytest.mark.parametrize("weak", [True, False])
    def test_a_method_disconnected_meanwhile_is_skipped(self, signal, turn, weak):
        """A bound method that was disconnected during the send is not called."""
        later = Recorder()

        def first(sender):
            if turn.now:
                signal.disconnect(later.__call__)

        signal.connect(first)
        signal.connect(later.__call__, weak=weak)
        assert [first] == receivers_of(turn.send(signal))

    def test_a_list_method_disconnected_meanwhile_is_skipped(self, signal, turn):
        """And for a method of a built-in."""
        heard = []

        def first(sender):
            heard.clear()
            if turn.now:
                signal.disconnect(heard.append)

        signal.connect(first)
        signal.connect(heard.append, weak=False)
        assert [first] == receivers_of(turn.send(signal))
        assert [] == heard

    @pytest.mark.parametrize("method", [False, True])
    def test_one_that_died_meanwhile_is_skipped(self, signal, turn, method):
        """A receiver whose last reference an earlier one dropped is not called."""
        kept = [Recorder()]

        def first(sender):
            if turn.now:
                kept.clear()

        signal.connect(first)
        signal.connect(kept[0].__call__ if method else kept[0])
        assert [first] == receivers_of(turn.send(signal))

    @pytest.mark.parametrize("sender", [aldis.ANY, "north"], ids=["for any", "for north"])
    def test_one_connected_meanwhile_waits_for_the_next_send(self, signal, turn, sender):
        """A receiver that an earlier one connected is called from the next send on."""
        late = Recorder()

        def first(sent_by):
            if turn.now:
                signal.connect(late, sender)

        signal.connect(first)
        assert [first] == receivers_of(turn.send(signal, "north"))
        assert [first, late] == receivers_of(signal.send("north"))

    def test_one_connected_anew_meanwhile_waits_for_the_next_send(self, signal, turn):
        """Disconnecting and connecting during a send makes a new subscription."""
        later = Recorder()

        def first(sender):
            if turn.now:
                signal.disconnect(later)
                signal.connect(later)

        signal.connect(first)
        signal.connect(later)
        assert [first] == receivers_of(turn.send(signal))

    def test_muting_meanwhile_waits_for_the_next_send(self, signal, turn):
        """A send that has begun is not muted by its receivers."""
        later = Recorder()

        def first(sender):
            signal.is_muted = turn.now

        signal.connect(first)
        signal.connect(later)
        assert [first, later] == receivers_of(turn.send(signal))
        assert [] == signal.send()

    def test_a_receiver_may_send_the_same_signal(self, signal):
        """A send inside a receiver is a send of its own."""
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
    def test_objects_are_told_apart_by_identity(self, signal):
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
    def test_values_that_meet(self, signal, connected, sent):
        """``str`` and ``int``, enums of them included, are matched by their plain value."""
        signal.connect(receive, connected)
        assert [(receive, sent)] == resend(signal, sent)

    @pytest.mark.parametrize(
        ("connected", "sent"),
        [(1, True), (True, 1), (0, False), (False, 0), (0, None), (1, 1.0), ("1", 1), (b"a", "a")],
    )
    def test_values_that_never_meet(self, signal, connected, sent):
        """A ``bool`` does not count as an ``int``, and other types have separate key spaces."""
        signal.connect(receive, connected)
        assert [] == resend(signal, sent)

    def test_an_overridden_hash_changes_nothing(self, signal):
        """A subclass of ``str`` or ``int`` counts by its value, without its ``__eq__``."""

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

    def test_no_sender_is_a_sender_of_its_own(self, signal):
        """A send without sender is a send from ``None``."""
        signal.connect(receive, None)
        assert [(receive, None)] == resend(signal)
        assert [] == resend(signal, "north")

    def test_a_sender_without_weak_references_is_held_until_it_is_disconnected(self, signal):
        """A slotted object lives as long as its connection, so that its id cannot be reused."""
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

    def test_a_dead_sender_takes_its_connections_along(self, signal):
        """A dead sender has no receivers, and another object may get its id."""
        sender = Sender()
        signal.connect(receive, sender)
        del sender
        assert not signal.receivers
        assert all(signal.send(Sender()) == [] for _ in range(50))


class TestRule4Weakness:
    def test_weak_by_default(self, signal):
        """A receiver without another reference dies."""
        signal.connect(Recorder())
        assert [] == resend(signal)
        assert 0 == len(signal.receivers)

    def test_strong_on_demand(self, signal):
        """``weak=False`` keeps the receiver."""
        signal.connect(Recorder(), weak=False)
        assert 1 == len(signal.send())

    @pytest.mark.parametrize("decorate", ["connect_via", "connect"])
    def test_decorators_differ_in_strength(self, signal, decorate):
        """``connect_via`` holds strongly, as in blinker; ``connect(sender=x)`` weakly."""
        getattr(signal, decorate)(sender="north")(lambda sender: None)
        assert (1 if decorate == "connect_via" else 0) == len(signal.send("north"))

    def test_a_method_lives_as_long_as_its_object(self, signal):
        """A weak bound method is called while its object is alive, and no longer."""
        recorder = Recorder()
        signal.connect(recorder.__call__)
        signal.send("north")
        assert ["north"] == recorder.senders
        alive = ref(recorder)
        del recorder
        assert alive() is None
        assert [] == resend(signal, "south")

    def test_a_method_ends_with_its_function(self, signal):
        """A bound method whose function was dropped is disconnected."""
        sender = Sender()
        signal.connect(MethodType(lambda self, sent_by: None, sender))
        assert [] == resend(signal)
        assert not signal.receivers

    def test_each_subscription_has_its_own_strength(self, signal):
        """The strong connection goes, and with it the receiver that was weak elsewhere."""
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
    def test_churn_leaves_nothing_behind(self, signal, part):
        """Connections that come and go do not grow any table."""
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

    def test_a_signal_takes_along_what_only_it_held(self):
        """A strong receiver is freed with its signal, without the collector."""
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
