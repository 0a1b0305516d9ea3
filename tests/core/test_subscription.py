"""A handle of ``subscribe`` undoes exactly one subscription. A signal counts the owners."""

import pytest

import aldis
from tests.core.support import Recorder, Sender, resend


def receive(sender, **extra):
    """Receive anything."""
    return sender


class TestCancel:
    def test_cancel_undoes_only_its_own_subscription(self, signal):
        """Cancelling leaves the receiver's subscriptions for other senders."""
        north = signal.subscribe(receive, "north")
        signal.subscribe(receive, "south")
        north.cancel()
        assert [] == resend(signal, "north")
        assert [(receive, "south")] == resend(signal, "south")

    def test_a_second_cancel_does_nothing(self, signal):
        """Another owner's subscription survives a repeated ``cancel``."""
        first = signal.subscribe(receive)
        signal.subscribe(receive)
        first.cancel()
        first.cancel()
        assert [(receive, "north")] == resend(signal, "north")

    def test_a_receiver_of_two_owners_stays_until_both_cancel(self, signal):
        """Until then, each send calls the receiver once."""
        first, second = signal.subscribe(receive), signal.subscribe(receive)
        assert [(receive, None)] == resend(signal)
        first.cancel()
        assert [(receive, None)] == resend(signal)
        second.cancel()
        assert [] == resend(signal)

    def test_connect_is_an_owner_like_any_other(self, signal):
        """A connection of ``connect`` stays when a subscription of its receiver is cancelled."""
        signal.connect(receive)
        signal.connect(receive)
        signal.subscribe(receive).cancel()
        assert [(receive, None)] == resend(signal)
        signal.disconnect(receive)
        assert [] == resend(signal)

    def test_disconnect_overrules_all_owners(self, signal):
        """``disconnect`` undoes every connection, and the handles become inactive."""
        handle = signal.subscribe(receive, "north")
        signal.disconnect(receive)
        assert not handle.active
        signal.connect(receive, "north")
        handle.cancel()
        assert [(receive, "north")] == resend(signal, "north")

    def test_receiver_disconnected_is_sent_once(self, signal):
        """``receiver_disconnected`` is sent when the last owner cancels."""
        heard = Recorder()
        signal.receiver_disconnected.connect(heard)
        first, second = (signal.subscribe(receive, "north") for _ in range(2))
        first.cancel()
        assert [] == heard.payloads
        second.cancel()
        second.cancel()
        assert [{"receiver": receive, "sender": "north"}] == heard.payloads

    def test_a_subscription_is_a_context_manager(self, signal):
        """The subscription ends with the ``with`` block."""
        with signal.subscribe(receive) as handle:
            assert handle.active
        assert not handle.active

    def test_a_dropped_handle_cancels_nothing(self, signal):
        """Only ``cancel`` ends a subscription."""
        handle = signal.subscribe(receive)
        del handle
        assert [(receive, None)] == resend(signal)


class TestStrength:
    def test_weak_by_default(self, signal):
        """A subscription does not keep its receiver."""
        handle = signal.subscribe(Recorder())
        assert not handle.active
        assert handle.receiver is None

    def test_each_owner_has_its_own(self, signal):
        """After the strong owner cancelled, the weak owner does not keep the receiver alive."""
        receiver = Recorder()
        weak = signal.subscribe(receiver)
        strong = signal.subscribe(receiver, weak=False)
        del receiver
        assert weak.active
        strong.cancel()
        assert not weak.active
        assert not signal.receivers


class TestReading:
    def test_its_attributes(self, signal):
        """A handle has its signal, its receiver and its sender."""
        handle = signal.subscribe(receive, "north")
        assert (signal, receive, "north") == (handle.signal, handle.receiver, handle.sender)
        assert aldis.ANY is signal.subscribe(receive).sender

    def test_a_dead_sender_ends_it(self, signal):
        """A subscription is not active when its sender is gone."""
        sender = Sender()
        handle = signal.subscribe(receive, sender)
        assert handle.active
        del sender
        assert not handle.active
        assert handle.sender is None

    @pytest.mark.parametrize(("sender", "scope"), [(aldis.ANY, "any sender"), ("north", "'north'")])
    def test_repr(self, signal, sender, scope):
        """The ``repr`` shows the receiver, the signal, the sender and the state."""
        handle = signal.subscribe(receive, sender)
        text = f"<Subscription of receive to an unnamed signal for {scope}; active>"
        assert text == repr(handle)
        handle.cancel()
        assert repr(handle).endswith("; ended>")
