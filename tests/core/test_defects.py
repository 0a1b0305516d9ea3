"""The defects of blinker 1.9.0 in its connections, and the behaviour of aldis.

Each test runs twice, on aldis and on blinker. blinker must fail it.
"""

import gc
from weakref import ref

import pytest

from tests.core.support import Recorder, Sender, blinker_raises


def receive(sender, **extra):
    """Receive anything."""
    return sender


class TestSendersThatAreNumbers:
    @pytest.mark.parametrize("sender", [0, False])
    def test_zero_and_false_are_senders_like_any_other(self, library, sender):
        """A receiver that is connected for 0 or False is called for that sender only."""
        signal = library.Signal()
        signal.connect(receive, sender)
        assert [(receive, sender)] == signal.send(sender)
        assert [] == signal.send(Sender())

    def test_disconnecting_zero_disconnects_only_zero(self, library):
        """``disconnect(f, sender=0)`` leaves connections for other senders."""
        signal = library.Signal()
        signal.connect(receive, "north")
        signal.disconnect(receive, sender=0)
        assert [(receive, "north")] == signal.send("north")

    def test_a_number_is_not_the_object_with_that_id(self, library):
        """A receiver for the int ``id(x)`` is not called for ``x``."""
        signal, sender = library.Signal(), Sender()
        signal.connect(receive, sender=id(sender))
        assert [] == signal.send(sender)

    def test_true_is_not_one(self, library):
        """A receiver for 1 is not called for ``True``."""
        signal = library.Signal()
        signal.connect(receive, sender=1)
        assert [] == signal.send(True)


class TestSendersWithoutWeakReferences:
    def test_a_reused_id_does_not_reach_the_receiver_of_a_dead_sender(self, library):
        """A list with the id of a dead sender does not reach the dead sender's receiver."""
        signal = library.Signal()
        misled = 0
        for _ in range(50):
            sender = []
            signal.connect(receive, sender)
            del sender
            misled += bool(signal.send([]))
        assert 0 == misled

    @blinker_raises(TypeError)
    def test_an_unhashable_str_is_a_sender_like_its_plain_value(self, library):
        """A ``str`` subclass that cannot be hashed is matched by its value."""

        class Unhashable(str):
            __slots__ = ()
            __hash__ = None

        signal = library.Signal()
        signal.connect(receive, Unhashable("north"))
        assert [(receive, "north")] == signal.send("north")


class TestReleasedConnections:
    def test_a_sender_has_no_receivers_after_its_only_receiver_was_disconnected(self, library):
        """``has_receivers_for`` is false after a scoped disconnect."""
        signal, sender = library.Signal(), Sender()
        signal.connect(receive, sender)
        signal.connect(receive, "another sender")
        signal.disconnect(receive, sender)
        assert not signal.has_receivers_for(sender)

    def test_disconnecting_an_unknown_receiver_adds_no_entry(self, library):
        """Disconnecting a receiver and a sender that are not connected adds no entry to a table."""
        signal = library.Signal()
        signal.disconnect(receive, Sender())
        assert {} == dict(signal._by_sender)
        assert {} == dict(signal._by_receiver)

    def test_disconnecting_an_unknown_receiver_sends_no_signal(self, library):
        """``receiver_disconnected`` is only sent when something was disconnected."""
        signal, heard = library.Signal(), Recorder()
        signal.receiver_disconnected.connect(heard)
        signal.disconnect(receive, "nobody")
        assert [] == heard.senders

    def test_a_scoped_disconnect_releases_a_strong_receiver(self, library):
        """A strong receiver is released when its last connection ends."""
        signal, receiver = library.Signal(), Recorder()
        signal.connect(receiver, "north", weak=False)
        signal.disconnect(receiver, "north")
        alive = ref(receiver)
        del receiver
        assert alive() is None

    def test_a_dead_sender_releases_its_strong_receiver(self, library):
        """A strong receiver is released when its only sender dies."""
        signal, sender, receiver = library.Signal(), Sender(), Recorder()
        signal.connect(receiver, sender, weak=False)
        alive = ref(receiver)
        del sender, receiver
        assert 0 == len(signal.receivers)
        assert alive() is None

    def test_short_lived_senders_do_not_grow_the_tables(self, library):
        """A hundred ``str`` senders, connected and disconnected, do not grow the tables."""
        signal = library.Signal()
        for number in range(100):
            signal.connect(receive, f"sender {number}")
            signal.disconnect(receive, f"sender {number}")
        assert 0 == len(signal._by_sender)

    def test_a_signal_with_a_weak_receiver_is_freed_at_once(self, library):
        """A signal is freed by its reference count, without the collector."""
        gc.disable()
        try:
            signal = library.Signal()
            signal.connect(receive)
            alive = ref(signal)
            del signal
            assert alive() is None
        finally:
            gc.enable()


class TestConnectedTo:
    def test_the_end_of_a_block_keeps_earlier_connections(self, library):
        """``connected_to`` for one sender leaves the connection for another alone."""
        signal = library.Signal()
        signal.connect(receive, "north")
        with signal.connected_to(receive, "south"):
            pass
        assert [(receive, "north")] == signal.send("north")

    def test_nested_blocks_are_independent(self, library):
        """The end of an inner block with an equal receiver keeps the outer connection."""
        signal = library.Signal()
        with signal.connected_to(receive, "north"):
            with signal.connected_to(receive, "south"):
                pass
            assert [(receive, "north")] == signal.send("north")

    def test_overlapping_blocks_count_their_owners(self, library):
        """Two overlapping blocks with one receiver and sender keep it connected until both end."""
        signal = library.Signal()
        first, second = (signal.connected_to(receive, "north") for _ in range(2))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert [(receive, "north")] == signal.send("north")

    def test_receiver_disconnected_names_the_sender_of_the_block(self, library):
        """``receiver_disconnected`` has the sender of the block, not ``ANY``."""
        signal, heard = library.Signal(), Recorder()
        signal.receiver_disconnected.connect(heard)
        with signal.connected_to(receive, "north"):
            pass
        assert [{"receiver": receive, "sender": "north"}] == heard.payloads


class TestConnecting:
    def test_each_subscription_has_its_own_strength(self, library):
        """Connecting weakly for one sender does not weaken a strong connection for another."""
        signal, receiver = library.Signal(), Recorder()
        signal.connect(receiver, "north", weak=False)
        signal.connect(receiver, "south", weak=True)
        del receiver
        assert 1 == len(signal.send("north"))

    @pytest.mark.parametrize("error", [ValueError, TypeError, KeyboardInterrupt])
    def test_a_meta_receiver_that_raises_undoes_only_the_new_connection(self, library, error):
        """If a meta-receiver raises, only the new connection is undone."""
        signal = library.Signal()
        signal.connect(receive, "north")

        def refuse(signal, /, **extra):
            raise error

        signal.receiver_connected.connect(refuse)
        for sender in ("south", library.ANY):
            with pytest.raises(error):
                signal.connect(receive, sender)
        assert [(receive, "north")] == signal.send("north")
        assert [] == signal.send("south")

    def test_a_strong_method_of_a_list_is_one_receiver(self, library):
        """A built-in method that is connected twice is called once and can be disconnected."""
        signal, heard = library.Signal(), []
        signal.connect(heard.append, weak=False)
        signal.connect(heard.append, weak=False)
        signal.send("north")
        signal.disconnect(heard.append)
        signal.send("south")
        assert ["north"] == heard

    @pytest.mark.parametrize("receiver", [str.upper, [].append], ids=["slot", "list"])
    def test_the_error_without_weak_references_names_the_remedy(self, library, receiver):
        """The error for a receiver without weak references names ``weak=False``."""
        with pytest.raises(TypeError, match="weak=False"):
            library.Signal().connect(receiver)

    def test_a_receiver_must_be_callable(self, library):
        """``connect`` refuses a receiver that is not callable."""
        with pytest.raises(TypeError):
            library.Signal().connect(Sender())

    @blinker_raises(TypeError)
    def test_connect_without_a_receiver_is_a_decorator(self, library):
        """``@signal.connect(sender=x)`` connects the function below it."""
        signal = library.Signal()
        signal.connect(sender="north")(receive)
        assert [(receive, "north")] == signal.send("north")
