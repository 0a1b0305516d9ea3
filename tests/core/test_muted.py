"""Muting: nested blocks, overlapping blocks, and blocks for one context."""

import asyncio
from contextvars import copy_context
from threading import Event, Thread

import pytest

from tests.core.support import Recorder


@pytest.fixture
def receiver(signal):
    """Give a receiver that is connected."""
    receiver = Recorder()
    signal.connect(receiver)
    return receiver


class TestEverywhere:
    def test_no_receiver_is_called(self, signal, receiver):
        """A muted signal calls no receiver, with every method that sends."""
        with signal.muted():
            assert signal.is_muted
            assert [] == signal.send()
            assert [] == signal.send_robust()
            assert [] == asyncio.run(signal.asend())
        assert not signal.is_muted
        assert [] == receiver.senders

    def test_other_threads_are_muted_too(self, signal, receiver):
        """Muting everywhere also mutes the sends of other threads."""
        with signal.muted():
            thread = Thread(target=signal.send)
            thread.start()
            thread.join()
        assert [] == receiver.senders

    @pytest.mark.parametrize("everywhere", [True, False])
    def test_the_last_of_overlapping_blocks_unmutes(self, signal, receiver, everywhere):
        """The signal is muted until the last block has ended. The order does not matter."""
        first, second = (signal.muted(everywhere=everywhere) for _ in range(2))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        signal.send("still muted")
        second.__exit__(None, None, None)
        signal.send("receiver")
        assert ["receiver"] == receiver.senders

    @pytest.mark.parametrize("everywhere", [True, False])
    def test_an_error_unmutes(self, signal, receiver, everywhere):
        """An error ends the block."""
        with pytest.raises(ValueError, match="lamp"), signal.muted(everywhere=everywhere):
            raise ValueError("lamp")
        assert 1 == len(signal.send())

    def test_is_muted_can_be_set(self, signal, receiver):
        """``is_muted`` may be set as on blinker's signals."""
        signal.is_muted = True
        assert [] == signal.send()
        signal.is_muted = False
        assert 1 == len(signal.send())

    @pytest.mark.parametrize(("flag", "calls"), [(None, 1), ("", 1), ("yes", 0)])
    def test_is_muted_may_be_any_true_or_false_value(self, signal, receiver, flag, calls):
        """``is_muted`` may be any true or false value, as on blinker's signals."""
        signal.is_muted = flag
        assert calls == len(signal.send())

    def test_setting_is_muted_overrules_the_blocks(self, signal, receiver):
        """If code cleared ``is_muted``, the end of a block does not make the count negative."""
        with signal.muted():
            signal.is_muted = False
            assert 1 == len(signal.send())
        with signal.muted():
            assert [] == signal.send()

    def test_receivers_stay_connected(self, signal, receiver):
        """Muting does not disconnect receivers."""
        with signal.muted():
            assert signal.has_receivers_for("north")
            assert [receiver] == list(signal.receivers_for("north"))


class TestOnlyHere:
    def test_both_kinds_of_blocks_can_be_nested(self, signal, receiver):
        """A block for one context and a block for all can be nested."""
        with signal.muted(everywhere=False):
            with signal.muted(), signal.muted(everywhere=False):
                pass
            assert [] == signal.send()
        assert 1 == len(signal.send())

    def test_another_thread_is_not_muted(self, signal, receiver):
        """A thread that began before or inside the block is not muted."""
        go, done = Event(), Event()

        def send_after_the_event():
            go.wait(5)
            signal.send("earlier thread")
            done.set()

        earlier = Thread(target=send_after_the_event)
        earlier.start()
        with signal.muted(everywhere=False):
            go.set()
            done.wait(5)
            signal.send("here")
        earlier.join()
        assert ["earlier thread"] == receiver.senders

    def test_a_block_may_end_in_another_context(self, signal, receiver):
        """After a block ended in another context, as in test fixtures, muting works there."""
        block = signal.muted(everywhere=False)
        copy_context().run(block.__enter__)
        block.__exit__(None, None, None)
        assert 1 == len(signal.send())
        with signal.muted(everywhere=False):
            assert [] == signal.send()

    async def test_another_task_is_not_muted(self, signal, receiver):
        """A task beside the block is not muted. A task that starts in the block is muted."""
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def mute():
            with signal.muted(everywhere=False):
                await asyncio.create_task(signal.asend("started inside"))
                inside.set()
                await go_on.wait()

        muting = asyncio.create_task(mute())
        await inside.wait()
        signal.send("beside")
        go_on.set()
        await muting
        signal.send("after")
        assert ["beside", "after"] == receiver.senders

    async def test_a_task_that_outlives_the_block(self, signal, receiver):
        """A task that was started in the block is not muted after the block."""
        go = asyncio.Event()

        async def send_later():
            await go.wait()
            signal.send("later")

        with signal.muted(everywhere=False):
            task = asyncio.create_task(send_later())
            await asyncio.sleep(0)
        go.set()
        await task
        assert ["later"] == receiver.senders

    def test_the_fast_path_is_back_after_the_block(self, signal, receiver):
        """After the block, sends are as fast as before it."""
        with signal.muted(everywhere=False):
            signal.send()
            assert signal._routes.everyone is None
        signal.send()
        assert signal._routes.everyone is not None

    def test_only_this_signal(self, signal, receiver):
        """Another signal is not muted."""
        other = type(signal)()
        other.connect(receiver)
        with signal.muted(everywhere=False):
            other.send("other")
        assert ["other"] == receiver.senders
