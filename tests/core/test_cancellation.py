"""Async sends whose task is cancelled."""

import asyncio

import pytest

from tests.core.support import Recorder


def fail(sender, **extra):
    """Raise."""
    raise ValueError("lamp out")


class TestCancelling:
    async def test_continue_on_error_continues_after_a_cancellation(self, signal):
        """The task calls the remaining receivers and then is cancelled, despite other errors."""
        heard = []

        async def wait_for_ever(sender):
            await asyncio.Event().wait()

        async def later(sender):
            await asyncio.sleep(0)
            heard.append(sender)

        signal.continue_on_error = True
        for receiver in (fail, wait_for_ever, later):
            signal.connect(receiver)
        task = asyncio.create_task(signal.asend("north"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ["north"] == heard
        assert task.cancelled()

    async def test_a_cancellation_ends_every_other_send(self, signal):
        """Without ``continue_on_error``, a cancelled send calls no later receiver."""
        later = Recorder()

        async def wait_for_ever(sender):
            await asyncio.Event().wait()

        signal.connect(wait_for_ever)
        signal.connect(later)
        for kind in (signal.asend, signal.asend_robust):
            task = asyncio.create_task(kind("north"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [] == later.senders
