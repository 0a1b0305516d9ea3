"""Muting: nested blocks, overlapping blocks, and blocks for one context."""

import asyncio
from contextvars import copy_context
from threading import Event, Thread

import pytest

from tests.core.support import Recorder


@pytest.fixture
def heard(signal):
    """Give a receiver that is connected."""
    receiver = Recorder()
    signal.connect(receiver)
    return receiver


class TestEverywhere:
    def test_nobody_is_called(self, signal, heard):
        """A muted signal calls no receiver, with every method that sends."""
        with signal.muted():
            assert signal.is_muted
            assert [] == signal.send()
            assert [] == signal.send_robust()
            assert [] == asyncio.run(signal.asend())
        assert not signal.is_muted
        assert [] == heard.senders

    def test_other_threads_too(self, signal, heard):
        """Muting everywhere also mutes the sends of other threads."""
        with signal.muted():
            thread = Thread(target=signal.send)
            thread.start()
            thread.join()
        assert [] == heard.senders

    @pytest.mark.parametrize("everywhere", [True, False])
    def test_overlapping_blocks(self, signal, heard, everywhere):
        """The signal is muted until the last block has ended, in whatever order they end."""
        first, second = (signal.muted(everywhere=everywhere) for _ in range(2))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        signal.send("still muted")
        second.__exit__(None, None, None)
        signal.send("heard")
        assert ["heard"] == heard.senders

    @pytest.mark.parametrize("everywhere", [True, False])
    def test_an_error_unmutes(self, signal, heard, everywhere):
        """A block that is left by an error has ended."""
        with pytest.raises(ValueError, match="lamp"), signal.muted(everywhere=everywhere):
            raise ValueError("lamp")
        assert 1 == len(signal.send())

    def test_the_flag_can_be_set(self, signal, heard):
        """``is_muted`` may be set as on blinker's signals."""
        signal.is_muted = True
        assert [] == signal.send()
        signal.is_muted = False
        assert 1 == len(signal.send())

    @pytest.mark.parametrize(("flag", "calls"), [(None, 1), ("", 1), ("yes", 0)])
    def test_the_flag_is_whatever_is_true(self, signal, heard, flag, calls):
        """As on blinker's signals, anything that is true or false will do."""
        signal.is_muted = flag
        assert calls == len(signal.send())

    def test_setting_the_flag_overrules_the_blocks(self, signal, heard):
        """A block that ends after the flag was cleared does not count below nothing."""
        with signal.muted():
            signal.is_muted = False
            assert 1 == len(signal.send())
        with signal.muted():
            assert [] == signal.send()

    def test_receivers_are_still_there(self, signal, heard):
        """Muting does not disconnect receivers."""
        with signal.muted():
            assert signal.has_receivers_for("north")
            assert [heard] == list(signal.receivers_for("north"))


class TestOnlyHere:
    def test_nested_in_each_other(self, signal, heard):
        """Both forms can be nested."""
        with signal.muted(everywhere=False):
            with signal.muted(), signal.muted(everywhere=False):
                pass
            assert [] == signal.send()
        assert 1 == len(signal.send())

    def test_another_thread_is_heard(self, signal, heard):
        """A thread that began before or inside the block is not muted."""
        go, done = Event(), Event()

        def send_when_told():
            go.wait(5)
            signal.send("earlier thread")
            done.set()

        earlier = Thread(target=send_when_told)
        earlier.start()
        with signal.muted(everywhere=False):
            go.set()
            done.wait(5)
            signal.send("here")
        earlier.join()
        assert ["earlier thread"] == heard.senders

    def test_a_block_that_ends_elsewhere(self, signal, heard):
        """Ended in another context, as test fixtures are, it leaves that one able to mute."""
        block = signal.muted(everywhere=False)
        copy_context().run(block.__enter__)
        block.__exit__(None, None, None)
        assert 1 == len(signal.send())
        with signal.muted(everywhere=False):
            assert [] == signal.send()

    async def test_another_task_is_heard(self, signal, heard):
        """A task that runs beside the block is not muted; one that it starts is."""
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
        assert ["beside", "after"] == heard.senders

    async def test_a_task_that_outlives_the_block(self, signal, heard):
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
        assert ["later"] == heard.senders

    def test_the_fast_path_is_back_after_the_block(self, signal, heard):
        """After the block, sends are as fast as before it."""
        with signal.muted(everywhere=False):
            signal.send()
            assert signal._routes.everyone is None
        signal.send()
        assert signal._routes.everyone is not None

    def test_only_this_signal(self, signal, heard):
        """Another signal is not muted."""
        other = type(signal)()
        other.connect(heard)
        with signal.muted(everywhere=False):
            other.send("other")
        assert ["other"] == heard.senders
