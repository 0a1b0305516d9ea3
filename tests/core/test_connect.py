"""Tests of ``connect`` and ``disconnect``: accepted and refused receivers, and the errors."""

from functools import partial
from operator import itemgetter
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

import aldis
from aldis.errors import AldisError, ReceiverError
from tests.core.support import Recorder, Sender, exactly, resend


def receive(sender, **extra):
    """Receive anything."""
    return sender


class TestReturnValueAndOptions:
    def test_connect_returns_the_receiver(self, signal):
        """``connect`` is a decorator that leaves the function as it is."""
        assert receive is signal.connect(receive)

    def test_a_decorator_with_arguments_returns_the_receiver(self, signal):
        """``connect(sender=x)`` and ``connect_via(x)`` leave the function as it is."""
        assert receive is signal.connect(sender="north", weak=False)(receive)
        assert receive is signal.connect_via("south")(receive)
        assert [(receive, "north")] == resend(signal, "north")
        assert [(receive, "south")] == resend(signal, "south")

    @pytest.mark.parametrize(("weak", "heard"), [(None, 1), (0, 1), ("yes", 0), (2, 0)])
    def test_weak_may_be_any_true_or_false_value(self, signal, weak, heard):
        """As in blinker, ``weak`` may be anything that is true or false."""
        signal.connect(lambda sender: sender, weak=weak)
        assert heard == len(signal.send("north"))

    def test_connect_takes_unpacked_options(self, signal):
        """``connect(**options)`` accepts a subscription in the form that CKAN uses."""
        options = {"receiver": receive, "sender": "north"}
        signal.connect(**options, weak=False)
        signal.disconnect(**options)
        assert [] == resend(signal, "north")


class TestAcceptedReceivers:
    def test_methods_of_one_object_are_one_receiver(self, signal):
        """Each look-up of a bound method gives an equal receiver."""
        recorder = Recorder()
        signal.connect(recorder.__call__)
        signal.connect(recorder.__call__)
        signal.send("north")
        assert ["north"] == recorder.senders
        signal.disconnect(recorder.__call__)
        assert not signal.receivers

    def test_methods_of_two_objects_are_two_receivers(self, signal):
        """One function bound to two objects receives twice."""
        first, second = Recorder(), Recorder()
        signal.connect(first.__call__)
        signal.connect(second.__call__)
        signal.disconnect(first.__call__)
        signal.send("north")
        assert ([], ["north"]) == (first.senders, second.senders)

    def test_a_class_can_receive(self, signal):
        """A class is called like any other receiver."""

        class Letter:
            def __init__(self, sender):
                self.sender = sender

        signal.connect(Letter)
        [(receiver, letter)] = signal.send("north")
        assert (Letter, "north") == (receiver, letter.sender)

    def test_class_and_static_methods_can_receive(self, signal):
        """A class method is bound to its class, a static one to nothing."""

        class Post:
            @classmethod
            def of_class(cls, sender):
                return cls

            @staticmethod
            def static(sender):
                return sender

        signal.connect(Post.of_class)
        signal.connect(Post.static)
        assert [Post, "north"] == [value for _, value in signal.send("north")]

    def test_a_partial_can_receive(self, signal):
        """A partial and its function are two receivers."""
        receiver = partial(receive, colour="red")
        signal.connect(receiver)
        signal.connect(receive)
        assert [receiver, receive] == [each for each, _ in signal.send()]

    def test_an_unhashable_receiver_can_receive(self, signal):
        """A signal compares callables by identity, without their ``__eq__`` and ``__hash__``."""

        class Unhashable(Recorder):
            __hash__ = None

            def __eq__(self, other):
                return True

        first, second = Unhashable(), Unhashable()
        signal.connect(first)
        signal.connect(second)
        signal.disconnect(first)
        signal.send("north")
        assert ([], ["north"]) == (first.senders, second.senders)

    def test_a_list_method_is_identified_by_its_list_and_name(self, signal):
        """``append`` of two lists, and two methods of one, are different receivers."""
        first, second = [], []
        for receiver in (first.append, second.append, first.remove):
            signal.connect(receiver, weak=False)
        signal.disconnect(first.remove)
        signal.disconnect(second.append)
        signal.send("north")
        assert (["north"], []) == (first, second)

    def test_a_slot_wrapper_method_can_receive(self, signal):
        """A bound special method of a built-in type is matched like any method."""
        colours = {"red"}
        signal.connect(colours.__contains__, weak=False)
        assert [True] == [value for _, value in signal.send("red")]
        signal.disconnect(colours.__contains__)
        assert not signal.receivers

    @pytest.mark.parametrize(
        "mock", [Mock(return_value=7), MagicMock(return_value=7), MagicMock(spec=receive)]
    )
    def test_mocks_are_called(self, signal, mock):
        """A mock is a sync receiver, with and without a spec."""
        signal.connect(mock)
        assert [(mock, mock.return_value)] == signal.send("north", depth=3)
        mock.assert_called_once_with("north", depth=3)

    @pytest.mark.parametrize("make", [AsyncMock, lambda **kw: MagicMock(spec=_wait, **kw)])
    async def test_async_mocks_are_awaited(self, signal, make):
        """A mock of a coroutine function is an async receiver."""
        mock = make(return_value=7)
        signal.connect(mock)
        with pytest.raises(aldis.errors.AsyncReceiverError):
            signal.send()
        assert [(mock, 7)] == await signal.asend("north")


async def _wait(sender):
    """Be awaited."""


class TestRefusedReceivers:
    @pytest.mark.parametrize("how", ["connect", "subscribe"])
    @pytest.mark.parametrize(
        ("receiver", "what", "sender"),
        [
            (7, "int 7", "7"),
            ("harbour", "str 'harbour'", "'harbour'"),
            ("x" * 99, "str", "sender"),
            (None, "NoneType", "sender"),
            ([1], "list", "sender"),
            (object(), "object", "sender"),
        ],
    )
    def test_an_object_that_is_not_callable_is_refused(self, signal, receiver, what, sender, how):
        """The message names the type, shows a short object, and names ``connect_via``."""
        text = (
            f"a receiver must be callable, not {what}; if this is the sender, write "
            f"@signal.connect_via({sender}) or connect(receiver, sender={sender})"
        )
        with pytest.raises(ReceiverError, match=exactly(text)):
            getattr(signal, how)(receiver)

    @pytest.mark.parametrize(
        ("receiver", "name", "kind"),
        [
            (str.upper, "str.upper", "method_descriptor"),
            ([].append, "list.append", "list"),
            ("".join, "str.join", "str"),
        ],
    )
    def test_a_receiver_without_weak_references_is_refused(self, signal, receiver, name, kind):
        """The message names the receiver, the type without weak references, and the remedy."""
        text = (
            f"{name} cannot be weakly referenced (its {kind} allows no weak references); "
            "connect it with weak=False"
        )
        with pytest.raises(ReceiverError, match=exactly(text)):
            signal.connect(receiver)

    def test_an_object_with_slots_needs_weak_false(self, signal):
        """A slotted callable can be connected strongly only."""

        class Slotted:
            __slots__ = ()

            def __call__(self, sender):
                return sender

        receiver = Slotted()
        with pytest.raises(ReceiverError, match="Slotted object cannot be weakly referenced"):
            signal.connect(receiver)
        signal.connect(receiver, weak=False)
        assert [(receiver, "north")] == resend(signal, "north")

    @pytest.mark.parametrize("receiver", [itemgetter(0), str.upper, [].append])
    def test_connecting_a_strong_receiver_weakly_is_refused(self, signal, receiver):
        """Connecting again with ``weak=True`` is refused and changes nothing."""
        signal.connect(receiver, weak=False)
        with pytest.raises(TypeError):
            signal.connect(receiver, weak=True)
        assert 1 == len(signal.receivers)

    def test_errors_are_subclasses_of_the_builtin_errors(self):
        """Code that catches blinker's TypeError catches aldis's."""
        assert issubclass(ReceiverError, TypeError)
        assert issubclass(ReceiverError, AldisError)


class TestDisconnect:
    def test_without_a_sender_all_connections_end(self, signal):
        """``disconnect(f)`` undoes the connections for every sender."""
        for sender in (aldis.ANY, "north", 7, Sender):
            signal.connect(receive, sender)
        signal.disconnect(receive)
        assert not signal.receivers

    def test_with_a_sender_only_its_connection_ends(self, signal):
        """The connections for other senders and for any sender stay."""
        for sender in (aldis.ANY, "north", "south"):
            signal.connect(receive, sender)
        signal.disconnect(receive, "north")
        assert {0: {id(receive)}, "south": {id(receive)}} == signal._by_sender

    @pytest.mark.parametrize("receiver", [receive, 7, None, [].append, {}])
    def test_a_receiver_that_is_not_connected_is_ignored(self, signal, receiver):
        """Disconnecting an object that is not connected does nothing."""
        signal.disconnect(receiver)
        signal.disconnect(receiver, "north")
        assert {} == signal._by_receiver

    def test_a_second_time_does_nothing(self, signal):
        """``receiver_disconnected`` is sent for the first ``disconnect`` only."""
        heard = Recorder()
        signal.connect(receive, "north")
        signal.receiver_disconnected.connect(heard)
        signal.disconnect(receive, "north")
        signal.disconnect(receive, "north")
        assert [{"receiver": receive, "sender": "north"}] == heard.payloads


class TestMetaSignals:
    def test_a_meta_signal_is_made_at_the_first_access(self, signal):
        """A signal makes a meta-signal at the first access and keeps it."""
        signal.connect(receive)
        assert set() == {"receiver_connected", "receiver_disconnected"} & vars(signal).keys()
        assert signal.receiver_connected is signal.receiver_connected
        assert signal.receiver_disconnected is signal.receiver_disconnected

    def test_receiver_connected_has_the_arguments_of_connect(self, signal):
        """``receiver_connected`` has the receiver, its sender and ``weak``."""
        heard = Recorder()
        signal.receiver_connected.connect(heard)
        signal.connect(receive, "north", weak=False)
        with signal.connected_to(receive):
            pass
        assert [signal, signal] == heard.senders
        assert [
            {"receiver": receive, "sender": "north", "weak": False},
            {"receiver": receive, "sender": aldis.ANY, "weak": False},
        ] == heard.payloads

    def test_the_death_of_a_receiver_sends_no_signal(self, signal):
        """``receiver_disconnected`` is not sent when a receiver dies."""
        heard = Recorder()
        signal.receiver_disconnected.connect(heard)
        signal.connect(Recorder())
        assert not signal.receivers
        assert [] == heard.senders


class TestAttributes:
    def test_doc_is_the_docstring_of_the_signal(self):
        """``doc`` becomes the signal's docstring. Without ``doc``, it is the class's docstring."""
        assert "Sent when lit." == aldis.Signal("Sent when lit.").__doc__
        assert aldis.Signal.__doc__ == aldis.Signal().__doc__
        assert (True, False) == (aldis.Signal("x").documented, aldis.Signal().documented)

    def test_any_is_an_attribute(self, signal):
        """``signal.ANY`` is ``ANY``."""
        assert aldis.ANY is signal.ANY

    def test_repr_and_str_show_the_name(self):
        """The representation and the text have the name, and no address."""
        assert "<NamedSignal 'lit'>" == repr(aldis.NamedSignal("lit"))
        assert "lit" == str(aldis.NamedSignal("lit"))

    def test_attributes_may_be_set(self, signal):
        """A signal has a ``__dict__``: attributes can be set and deleted."""
        signal.colour = "red"
        del signal.colour
        assert not hasattr(signal, "colour")

    def test_clear_state_disconnects_every_receiver(self, signal):
        """``_clear_state`` disconnects every receiver."""
        signal.connect(receive)
        signal.connect(receive, "north", weak=False)
        signal._clear_state()
        assert [] == resend(signal, "north")
        assert ({}, {}) == (signal._by_sender, signal._by_receiver)
