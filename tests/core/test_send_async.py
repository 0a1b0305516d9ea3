"""Sends to async receivers with ``send_async``, as in blinker, and ``asend`` for both kinds."""

import asyncio
import inspect
import sys
from contextlib import suppress
from contextvars import ContextVar
from functools import partial

import pytest

from aldis.core import Observer, attach, detach
from aldis.errors import AsyncReceiverError
from aldis.receivers import once, robust
from tests.core.support import Recorder, exactly, line_of


def receive(sender, **extra):
    """Receive anything."""
    return sender


async def wait(sender, **extra):
    """Be awaited."""
    await asyncio.sleep(0)
    return sender


async def fail(sender, **extra):
    """Raise."""
    raise ValueError("lamp out")


class Async(Recorder):
    """Receives with an async ``__call__``."""

    async def __call__(self, sender, /, **payload):
        """Remember."""
        self.senders.append(sender)

    async def method(self, sender, **payload):
        """Remember."""
        self.senders.append(sender)


class TestSendAsync:
    async def test_receivers_are_awaited_in_connection_order(self, signal):
        """Async receivers are awaited one after the other."""
        other = Async()
        signal.connect(other)
        signal.connect(wait)
        assert [(other, None), (wait, "north")] == await signal.send_async("north", depth=3)

    async def test_a_sync_receiver_is_refused_before_any_ran(self, signal):
        """The error names the sync receiver, its location and the remedy."""
        first = Async()
        signal.connect(first)
        signal.connect(receive)
        text = (
            f"an unnamed signal was not sent: receiver receive ({line_of(receive)}) is sync: "
            "use asend, or give send_async a _sync_wrapper"
        )
        with pytest.raises(AsyncReceiverError, match=exactly(text)):
            await signal.send_async()
        assert [] == first.senders

    async def test_a_wrapper_makes_sync_receivers_async(self, signal):
        """``send_async`` uses ``_sync_wrapper`` for the sync receivers only."""
        wrapped = []

        def wrapper(function):
            wrapped.append(function)

            async def run(sender):
                return "wrapped"

            return run

        signal.connect(receive)
        signal.connect(wait)
        results = await signal.send_async("north", _sync_wrapper=wrapper)
        assert [(receive, "wrapped"), (wait, "north")] == results
        assert [receive] == wrapped

    async def test_an_error_propagates(self, signal):
        """The first error ends the send."""
        later = Async()
        signal.connect(fail)
        signal.connect(later)
        with pytest.raises(ValueError, match="lamp out"):
            await signal.send_async()
        assert [] == later.senders

    async def test_a_muted_signal_awaits_no_receiver(self, signal):
        """``send_async`` of a muted signal returns an empty list."""
        signal.connect(wait)
        with signal.muted():
            assert [] == await signal.send_async()


class TestAsend:
    async def test_sync_and_async_receivers_run_in_connection_order(self, signal):
        """``asend`` has one order for sync and async receivers."""
        signal.connect(receive)
        signal.connect(wait)
        last = Recorder(7)
        signal.connect(last)
        results = await signal.asend("north", depth=3)
        assert [(receive, "north"), (wait, "north"), (last, 7)] == results

    async def test_receivers_run_one_after_the_other(self, signal):
        """A receiver begins after the receiver before it has ended."""
        steps = []

        def make(name):
            async def receiver(sender):
                steps.append(f"{name} begins")
                await asyncio.sleep(0.001)
                steps.append(f"{name} ends")

            return receiver

        receivers = [make("first"), make("second")]
        for receiver in receivers:
            signal.connect(receiver)
        await signal.asend()
        assert ["first begins", "first ends", "second begins", "second ends"] == steps

    async def test_an_error_propagates(self, signal):
        """The first error ends the send. It is not wrapped in an exception group."""
        later = Recorder()
        signal.connect(fail)
        signal.connect(later)
        with pytest.raises(ValueError, match="lamp out"):
            await signal.asend()
        assert [] == later.senders

    async def test_asend_robust_returns_outcomes(self, signal):
        """``asend_robust`` returns an outcome for each receiver."""
        for receiver in (fail, wait, receive):
            signal.connect(receiver)
        outcomes = await signal.asend_robust("north")
        assert [fail, wait, receive] == [outcome.receiver for outcome in outcomes]
        assert [None, "north", "north"] == [outcome.value for outcome in outcomes]
        assert ["lamp out"] == [str(each.error) for each in outcomes if not each.ok]

    async def test_a_cancellation_is_not_collected(self, signal):
        """A robust send ends if its task is cancelled inside a receiver."""

        @signal.connect
        async def cancelled(sender):
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await signal.asend_robust()

    async def test_the_sender_sees_context_variables_of_receivers(self, signal):
        """A context variable that a receiver sets is visible to the sender."""
        colour = ContextVar("colour", default="white")

        @signal.connect
        async def paint(sender):
            colour.set("red")

        await signal.asend()
        assert "red" == colour.get()

    async def test_a_receiver_disconnected_while_another_waits_is_skipped(self, signal):
        """A receiver that is disconnected while an earlier receiver is awaited is not called."""
        later = Recorder()

        @signal.connect
        async def first(sender):
            await asyncio.sleep(0)
            signal.disconnect(later)

        signal.connect(later)
        assert [(first, None)] == await signal.asend()


class TestRecognisingAsyncReceivers:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: wait,
            lambda: Async(),
            lambda: Async().method,
            lambda: partial(wait, depth=3),
            lambda: partial(partial(Async().method, depth=3), colour="red"),
            lambda: _marked_by_asyncio(),
        ],
        ids=[
            "function",
            "object",
            "method",
            "partial",
            "nested partial",
            "asyncio's mark",
        ],
    )
    async def test_each_kind_of_coroutine_function_is_recognised(self, signal, make):
        """``connect`` recognises each kind of coroutine function."""
        signal.connect(make(), weak=False)
        with pytest.raises(AsyncReceiverError):
            signal.send()
        assert 1 == len(await signal.send_async("north"))

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="the mark is new in Python 3.12")
    async def test_a_function_marked_by_inspect_is_recognised(self, signal):
        """``inspect.markcoroutinefunction`` makes an async receiver."""
        signal.connect(inspect.markcoroutinefunction(lambda sender: wait(sender)), weak=False)
        assert ["north"] == [value for _, value in await signal.send_async("north")]

    @pytest.mark.parametrize(
        "receiver", [Recorder, Recorder(), Recorder().__call__, partial(receive), str, [].append]
    )
    def test_a_function_without_async_is_sync(self, signal, receiver):
        """A function that returns a coroutine without ``async`` counts as sync."""
        signal.connect(receiver, weak=False)
        assert 1 == len(signal.send("north"))

    async def test_a_sync_receiver_may_return_an_awaitable(self, signal):
        """``asend`` awaits an awaitable that a sync receiver returns."""
        signal.connect(lambda sender: wait(sender), weak=False)
        assert ["north"] == [value for _, value in await signal.asend("north")]


def _marked_by_asyncio():
    def receiver(sender):
        return wait(sender)

    receiver._is_coroutine = asyncio.coroutines._is_coroutine
    return receiver


class TestPlanned:
    """``asend`` walks the receivers that it knows from the send before."""

    @pytest.fixture
    async def sent(self, signal):
        """Send once, so that the receivers are planned."""
        signal.connect(wait)
        signal.connect(receive, "north")
        await signal.asend("north")
        return signal

    async def test_order_and_results(self, sent):
        """The order is that of the connections, for each sender."""
        sent.connect(fail, "south")
        assert [(wait, "north"), (receive, "north")] == await sent.asend("north")
        assert [(wait, None)] == await sent.asend()
        with pytest.raises(ValueError, match="lamp out"):
            await sent.asend("south")

    async def test_a_receiver_that_is_disconnected_meanwhile(self, signal):
        """A receiver that an earlier one disconnects is not called."""

        async def first(sender):
            signal.disconnect(wait)

        signal.connect(first)
        for _ in range(2):
            signal.connect(wait)
            assert [(first, None)] == await signal.asend()

    async def test_a_receiver_for_a_sender_and_for_all(self, sent):
        """It is called once."""
        sent.connect(wait, "north")
        for _ in range(2):
            assert [(wait, "north"), (receive, "north")] == await sent.asend("north")

    async def test_changes_between_sends(self, sent):
        """Muting, an observer and a new receiver count from the next send on."""
        with sent.muted():
            assert [] == await sent.asend("north")
        seen = Observer()
        seen.emission_started = lambda emission: events.append(emission.how)
        events = []
        attach(seen)
        try:
            await sent.asend("north")
        finally:
            detach(seen)
        assert ["asend"] == events
        sent.connect(other := Async())
        assert [wait, receive, other] == [each for each, _ in await sent.asend("north")]

    @pytest.mark.parametrize("mode", [robust, once])
    async def test_delivery_modes(self, signal, mode):
        """Receivers with a delivery mode run in it."""
        calls = []

        @mode
        async def receiver(sender):
            calls.append(sender)
            raise ValueError("lamp out") if mode is robust else KeyError

        signal.connect(receiver)
        for _ in range(2):
            with suppress(KeyError):
                await signal.asend("north")
        assert (["north", "north"] if mode is robust else ["north"]) == calls

    async def test_a_second_positional_argument(self, sent):
        """A send has one sender."""
        with pytest.raises(TypeError, match="positional argument"):
            await sent.asend("north", "south")
