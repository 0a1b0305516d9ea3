"""Recording sends, and the assertions about them."""

import asyncio
import threading
from unittest import mock

import pytest

import aldis
from aldis.testing import Recording, Sent, record


class Branch:
    """A sender."""

    def __init__(self, name):
        self.name = name


MARKET, KIOSK = Branch("Market"), Branch("Kiosk")


@pytest.fixture
def shop():
    """Give a namespace."""
    return aldis.Namespace()


@pytest.fixture
def paid(shop):
    """Give a signal."""
    return shop.signal("order-paid")


@pytest.fixture
def changed(shop):
    """Give another signal."""
    return shop.signal("stock-changed")


class TestWhatIsRecorded:
    def test_a_send_with_its_sender_and_payload(self, paid):
        """The sends are a sequence, in the block and after it."""
        with record(paid) as sent:
            paid.send(MARKET, order_id=7)
            assert 1 == len(sent)
        assert [Sent(paid, MARKET, {"order_id": 7})] == list(sent)
        assert isinstance(sent, Recording)

    def test_connects_no_receiver(self, paid):
        """Recording connects no receiver, so the results of a send are the same."""
        with record(paid) as sent:
            assert [] == paid.send(MARKET)
            assert not paid.has_receivers_for(MARKET)
        sent.once()

    def test_nothing_before_and_after_the_block(self, paid):
        """Only sends in the block are recorded."""
        paid.send(MARKET)
        with record(paid) as sent:
            pass
        paid.send(MARKET)
        sent.never()

    def test_although_a_receiver_raises(self, paid):
        """A send whose receiver raises is recorded, too."""

        def fail(sender):
            raise ValueError("lamp out")

        with paid.connected_to(fail), record(paid) as sent, pytest.raises(ValueError, match="out"):
            paid.send(MARKET)
        sent.once_with(MARKET)

    async def test_by_every_way_of_sending(self, paid):
        """Sync and async sends, robust or not, with and without wrappers, are recorded."""
        with record(paid) as sent:
            paid.send(MARKET)
            paid.send_robust(MARKET)
            await paid.asend(MARKET)
            await paid.asend_robust(MARKET)
            await paid.send_async(MARKET)
        sent.times(5)

    def test_on_other_threads(self, paid):
        """Sends on other threads are recorded."""
        with record(paid) as sent:
            thread = threading.Thread(target=paid.send, args=(MARKET,), kwargs={"order_id": 7})
            thread.start()
            thread.join()
        sent.once_with(MARKET, order_id=7)

    async def test_in_other_tasks(self, paid):
        """Sends in other tasks are recorded."""
        with record(paid) as sent:
            await asyncio.gather(paid.asend(MARKET), paid.asend(KIOSK))
        sent.times(2)

    def test_a_muted_signal_sends_nothing(self, paid):
        """A send of a muted signal is not recorded."""
        with record(paid) as sent, paid.muted():
            paid.send(MARKET)
        sent.never()

    def test_one_sender_only(self, paid):
        """With a sender, only its sends are recorded."""
        with record(paid, sender=MARKET) as sent:
            paid.send(MARKET, order_id=7)
            paid.send(KIOSK, order_id=8)
        sent.once_with(MARKET, order_id=7)

    def test_senders_are_compared_as_in_connect(self, paid):
        """By identity; strings by value; a proxy stands for its object."""

        class Proxy:
            def _get_current_object(self):
                return MARKET

        with record(paid, sender=Proxy()) as sent, record(paid, sender="north") as north:
            paid.send(MARKET)
            paid.send("nor" + "th".lower())
        sent.once_with(Proxy())
        north.once_with("north")

    def test_recordings_may_be_nested(self, paid):
        """Each recording has the sends of its block."""
        with record(paid) as outer:
            paid.send(1)
            with record(paid) as inner:
                paid.send(2)
            paid.send(3)
        assert [1, 2, 3] == [each.sender for each in outer]
        inner.once_with(2)

    def test_signals_without_a_name(self):
        """Anonymous signals are recorded like any other."""
        lamp = aldis.Signal()
        with record(lamp) as sent:
            lamp.send(MARKET)
        sent.once()

    def test_needs_signals(self, paid):
        """No argument, and an argument that is not a signal, raise an error at once."""
        with pytest.raises(TypeError, match="record needs at least one signal: record"):
            record().__enter__()
        with pytest.raises(TypeError, match=r"needs signals of aldis, and .order-paid. is not one"):
            record("order-paid").__enter__()


class TestSeveralSignals:
    def test_order_across_signals(self, paid, changed):
        """The sends of several signals are recorded in the order in which they began."""

        def receiver(sender):
            changed.send(sender)

        with paid.connected_to(receiver), record(paid, changed) as sent:
            paid.send(MARKET)
            changed.send(KIOSK)
        sent.in_order(paid, changed, changed)

    def test_one_of_them(self, paid, changed):
        """``of`` returns the recorded sends of one signal."""
        with record(paid, changed) as sent:
            paid.send(MARKET, order_id=7)
            changed.send(MARKET, left=3)
        sent.of(paid).once_with(MARKET, order_id=7)
        sent.of(changed).once_with(MARKET, left=3)

    def test_another_is_an_error(self, paid, changed):
        """``of`` refuses a signal that is not recorded."""
        with record(paid) as sent, pytest.raises(ValueError, match="stock-changed is not recorded"):
            sent.of(changed)


class TestAssertions:
    def test_that_pass_return_the_send(self, paid):
        """An assertion that passes returns the send."""
        with record(paid) as sent:
            paid.send(MARKET, order_id=7)
        assert sent[0] is sent.once()
        assert sent[0] is sent.once_with(MARKET, order_id=7)
        assert sent[0] is sent.at_least_once_with(MARKET, order_id=7)
        assert (sent[0],) == sent.times(1)

    def test_any_sender_and_any_value(self, paid):
        """Without a sender, or with ANY, any sender fits. ``mock.ANY`` fits any value."""
        with record(paid) as sent:
            paid.send(MARKET, order_id=7)
        sent.once_with(order_id=7)
        sent.once_with(aldis.ANY, order_id=mock.ANY)

    def test_one_among_others(self, paid):
        """``at_least_once_with`` returns the first send that fits."""
        with record(paid) as sent:
            for order_id in (7, 8, 8):
                paid.send(MARKET, order_id=order_id)
        assert sent[1] is sent.at_least_once_with(MARKET, order_id=8)

    def test_a_recording_is_a_sequence(self, paid):
        """Sends can be indexed, sliced and counted; an empty recording is false."""
        with record(paid) as sent:
            assert not sent
            paid.send(1)
            paid.send(2)
        assert [1, 2] == [each.sender for each in sent[:]]
        assert "<Recording of order-paid: 2 times>" == repr(sent)
