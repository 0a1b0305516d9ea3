"""Sends to sync receivers: results, errors, relays, overridden ``receivers_for``."""

import asyncio
import logging
import sys
from copy import copy

import pytest

import aldis
from aldis.errors import AsyncReceiverError
from tests.core.support import Recorder, exactly, line_of, resend


def receive(sender, **extra):
    """Receive anything."""
    return sender


def fail(sender, **extra):
    """Raise."""
    raise ValueError("lamp out")


async def wait(sender, **extra):
    """Be awaited."""
    return sender


class TestSend:
    def test_send_returns_pairs_of_receiver_and_value(self, signal):
        """``send`` returns the value of each receiver, in order."""
        first, second = Recorder(1), Recorder(2)
        signal.connect(first)
        signal.connect(second)
        assert [(first, 1), (second, 2)] == resend(signal, "north", depth=3)
        assert ["north"] * 3 == first.senders
        assert [{"depth": 3}] * 3 == second.payloads

    def test_a_send_without_receivers_returns_an_empty_list(self, signal):
        """Each send without receivers returns a new empty list."""
        assert [] == resend(signal, "north", depth=3)
        assert signal.send() is not signal.send()

    def test_sender_is_positional_only(self, signal):
        """The payload may have arguments called ``self`` and ``sender``."""
        signal.connect(lambda source, /, **payload: payload, weak=False)
        payload = {"self": 1, "sender": 2}
        assert [payload] == [value for _, value in signal.send("north", **payload)]

    def test_an_error_propagates_and_ends_the_send(self, signal):
        """An exception of a receiver reaches the caller of ``send``, and no later receiver runs."""
        later = Recorder()
        signal.connect(fail)
        signal.connect(later)
        for _ in range(3):
            with pytest.raises(ValueError, match="lamp out"):
                signal.send()
        assert [] == later.senders

    def test_an_async_receiver_is_named_in_the_error(self, signal):
        """The error names the async receiver, its location and the remedy."""
        signal.connect(wait)
        text = (
            f"an unnamed signal was not sent: receiver wait ({line_of(wait)}) is async: "
            "await asend or send_async, or give send an _async_wrapper (in Flask: app.ensure_sync)"
        )
        with pytest.raises(AsyncReceiverError, match=exactly(text)) as raised:
            signal.send()
        assert isinstance(raised.value, RuntimeError)

    def test_a_wrapper_makes_async_receivers_sync(self, signal):
        """``send`` uses ``_async_wrapper`` for the async receivers only."""
        wrapped = []

        def wrapper(function):
            wrapped.append(function)
            return lambda sender, **payload: ("wrapped", sender, payload)

        signal.connect(receive)
        signal.connect(wait)
        results = signal.send("north", _async_wrapper=wrapper, depth=3)
        assert [(receive, "north"), (wait, ("wrapped", "north", {"depth": 3}))] == results
        assert [wait] == wrapped

    def test_the_error_has_no_location_for_a_receiver_in_c(self, signal):
        """The error for a receiver without a source file shows only the name."""
        signal.connect([].append, weak=False)
        with pytest.raises(AsyncReceiverError, match=r"receiver list\.append is sync: use asend"):
            asyncio.run(signal.send_async())

    def test_a_dead_async_receiver_does_not_prevent_a_send(self, signal):
        """``send`` ignores an async receiver that has died."""

        async def local(sender):
            """Be awaited."""

        signal.connect(local)
        signal.connect(receive)
        del local
        assert [(receive, None)] == resend(signal)


class TestSendRobust:
    def test_outcomes_are_in_connection_order(self, signal, caplog):
        """Each receiver has an outcome with its value or its error."""
        signal.connect(receive)
        signal.connect(fail)
        later = Recorder(7)
        signal.connect(later)
        outcomes = signal.send_robust("north")
        assert [receive, fail, later] == [outcome.receiver for outcome in outcomes]
        assert ["north", None, 7] == [outcome.value for outcome in outcomes]
        assert [True, False, True] == [outcome.ok for outcome in outcomes]

    def test_errors_are_logged_with_the_location_of_the_receiver(self, signal, caplog):
        """The log record has the receiver, its location, the signal and the traceback."""
        signal.connect(fail)
        signal.send_robust()
        [record] = caplog.records
        assert ("aldis", logging.ERROR) == (record.name, record.levelno)
        assert f"receiver fail ({line_of(fail)}) of an unnamed signal raised" == record.getMessage()
        assert ValueError is record.exc_info[0]

    def test_a_returned_exception_is_a_value(self, signal):
        """An exception that is returned is not mistaken for one that is raised."""
        error = ValueError("returned")
        signal.connect(Recorder(error), weak=False)
        [outcome] = signal.send_robust()
        assert (True, error, None) == (outcome.ok, outcome.value, outcome.error)

    def test_an_outcome_unwraps(self, signal):
        """``unwrap`` gives the value or raises the error."""
        assert 7 == aldis.Outcome(receive, 7).unwrap()
        with pytest.raises(ValueError, match="lamp out"):
            aldis.Outcome(receive, None, ValueError("lamp out")).unwrap()

    def test_an_outcome_is_a_value(self):
        """Comparisons, ``repr`` and copies use the fields. A change of a field raises an error."""
        outcome = aldis.Outcome(receive, 7)
        assert outcome == aldis.Outcome(receiver=receive, value=7, error=None)
        assert hash(outcome) == hash(aldis.Outcome(receive, 7))
        assert repr(outcome) == f"Outcome(receiver={receive!r}, value=7, error=None)"
        assert outcome.__replace__(value=8) == copy(aldis.Outcome(receive, 8)) != outcome
        assert outcome != (receive, 7, None)
        match outcome:
            case aldis.Outcome(receiver, 7, None):
                assert receive is receiver
        with pytest.raises(AttributeError, match="cannot be changed: 'value' was to be set"):
            outcome.value = 8
        with pytest.raises(AttributeError, match="cannot be changed: 'value' was to be deleted"):
            del outcome.value
        with pytest.raises(AttributeError):
            outcome.other = 8

    def test_sys_exc_info_is_empty_in_the_receivers_after_an_error(self, signal, timing):
        """A robust send has logged the error, so no later receiver sees it as the current one."""
        seen = []

        @signal.connect
        def fail(sender):
            raise ValueError

        @signal.connect
        def look(sender):
            seen.append(sys.exc_info()[1])

        if timing.warm:
            signal.send_robust()
            signal.send_robust()
        assert [ValueError, type(None)] == [type(each.error) for each in signal.send_robust()]
        assert {None} == set(seen)

    def test_an_async_receiver_raises_also_in_a_robust_send(self, signal):
        """A robust send does not collect this error, because it is a mistake in the program."""
        signal.connect(wait)
        with pytest.raises(AsyncReceiverError):
            signal.send_robust()

    def test_keyboard_interrupt_propagates(self, signal):
        """A robust send collects subclasses of ``Exception`` only."""

        @signal.connect
        def interrupt(sender):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            signal.send_robust()


class TestContinueOnError:
    def test_the_first_error_is_raised_at_the_end(self, signal):
        """With ``continue_on_error``, every receiver runs, and then the first error is raised."""

        @signal.connect
        def fail_later(sender):
            raise LookupError

        later = Recorder()
        signal.continue_on_error = True
        signal.disconnect(fail_later)
        for receiver in (fail, fail_later, later):
            signal.connect(receiver)
        for _ in range(3):
            with pytest.raises(ValueError, match="lamp out"):
                signal.send("north")
        assert ["north"] * 3 == later.senders

    async def test_async_sends_continue_after_an_error(self, signal):
        """``asend`` and ``send_async`` call the remaining receivers after an error."""
        heard = []

        @signal.connect
        async def fail_first(sender):
            raise ValueError("lamp out")

        @signal.connect
        async def later(sender):
            heard.append(sender)

        signal.continue_on_error = True
        for send in (signal.asend, signal.send_async):
            with pytest.raises(ValueError, match="lamp out"):
                await send("north")
        assert ["north", "north"] == heard

    def test_it_can_be_turned_off(self, signal):
        """After ``continue_on_error`` is set to ``False``, the first error ends the send."""
        later = Recorder()
        signal.connect(fail)
        signal.connect(later)
        signal.continue_on_error = True
        signal.continue_on_error = False
        with pytest.raises(ValueError, match="lamp out"):
            signal.send()
        assert [] == later.senders

    def test_values_are_returned_if_no_receiver_raises(self, signal):
        """Without an error, the send returns the pairs like any other send."""
        signal.continue_on_error = True
        signal.connect(receive)
        assert [(receive, "north")] == resend(signal, "north")


class TestRelays:
    def test_a_signal_can_be_the_receiver_of_another(self):
        """``a.connect(b.send)`` passes on the sender and the payload."""
        near, far, heard = aldis.Signal(), aldis.Signal(), Recorder()
        near.connect(far.send)
        far.connect(heard)
        near.send("north", depth=3)
        assert (["north"], [{"depth": 3}]) == (heard.senders, heard.payloads)
        near.disconnect(far.send)
        assert not near.receivers

    def test_a_relay_ends_with_its_signal(self):
        """A weakly connected ``send`` does not keep its signal alive."""
        near = aldis.Signal()
        near.connect(aldis.Signal().send)
        assert [] == near.send()

    def test_a_relay_passes_the_async_wrapper_on(self):
        """An async receiver of the second signal gets the wrapper that the first send got."""
        near, far = aldis.Signal(), aldis.Signal()
        near.connect(far.send)
        far.connect(wait)
        results = near.send("north", _async_wrapper=lambda function: lambda sender: "wrapped")
        assert [(far.send, [(wait, "wrapped")])] == results

    def test_a_relay_without_a_wrapper_refuses_async_receivers(self):
        """The second signal refuses its async receiver."""
        near, far = aldis.NamedSignal("near"), aldis.NamedSignal("far")
        near.connect(far.send)
        far.connect(wait)
        with pytest.raises(AsyncReceiverError, match="far was not sent"):
            near.send()

    async def test_a_relay_of_asend_awaits_the_receivers(self):
        """``asend`` of the first signal awaits the receivers of the second signal."""
        near, far = aldis.Signal(), aldis.Signal()
        near.connect(far.send)
        far.connect(wait)
        far.connect(receive)
        assert [[(wait, "north"), (receive, "north")]] == [
            value for _, value in await near.asend("north")
        ]

    async def test_a_relay_passes_the_sync_wrapper_on(self):
        """``send_async`` of the first signal is ``send_async`` of the second, with the wrapper."""
        near, far = aldis.Signal(), aldis.Signal()
        near.connect(far.send)
        far.connect(receive)

        def wrapper(function):
            async def run(sender):
                return "wrapped"

            return run

        [(_, value)] = await near.send_async("north", _sync_wrapper=wrapper)
        assert [(receive, "wrapped")] == value


class TestOverriddenReceiversFor:
    def test_an_override_on_an_instance(self, signal):
        """``send`` calls the callables of a replaced ``receivers_for``."""
        signal.connect(receive)
        original = signal.receivers_for
        signal.receivers_for = lambda sender: [*original(sender), fail]
        with pytest.raises(ValueError, match="lamp out"):
            signal.send("north")
        del signal.receivers_for
        assert [(receive, "north")] == resend(signal, "north")

    def test_the_pairs_name_the_yielded_callables(self, signal):
        """If an override yields a wrapper of a receiver, the pairs name the wrapper."""
        signal.connect(receive)
        original = signal.receivers_for

        def wrapped(sender, **extra):
            return "wrapped"

        signal.receivers_for = lambda sender: [wrapped for _ in original(sender)]
        assert [(wrapped, "wrapped")] == resend(signal, "north")

    def test_an_override_in_a_subclass(self):
        """A subclass may choose the receivers."""

        class Last(aldis.Signal):
            def receivers_for(self, sender):
                return list(super().receivers_for(sender))[-1:]

        signal = Last()
        signal.connect(receive)
        later = Recorder(7)
        signal.connect(later)
        assert [(later, 7)] == resend(signal)

    def test_one_callable_yielded_twice_is_called_twice(self, signal):
        """``send`` calls a callable as often as an overridden ``receivers_for`` yields it."""
        heard = Recorder()
        signal.receivers_for = lambda sender: [heard, heard]
        signal.send("north")
        assert ["north", "north"] == heard.senders

    def test_the_pairs_name_the_receiver_of_a_yielded_original_callable(self, signal):
        """If an override yields the original callables, ``send`` names the connected receivers."""

        class Delivery(Recorder):
            def __bind_signal__(self, source):
                return lambda sender: "delivered"

        receiver = Delivery()
        signal.connect(receiver)
        original = signal.receivers_for
        signal.receivers_for = lambda sender: original(sender)
        assert [(receiver, "delivered")] == resend(signal, "north")

    def test_a_muted_signal_does_not_call_the_override(self, signal):
        """A muted signal does not call ``receivers_for``."""
        asked = Recorder(answer=[])
        signal.receivers_for = asked
        with signal.muted():
            signal.send("north")
        assert [] == asked.senders


class TestReadingReceivers:
    def test_receivers_for_yields_the_callables_of_a_send(self, signal):
        """It yields each living receiver of the sender and of any sender once, in order."""
        gone = Recorder()
        for receiver, sender in ((receive, "north"), (fail, aldis.ANY), (gone, "north")):
            signal.connect(receiver, sender)
        signal.connect(receive)
        del receiver, gone
        assert [receive, fail] == list(signal.receivers_for("north"))
        assert [fail, receive] == list(signal.receivers_for("south"))

    @pytest.mark.parametrize(
        ("connected", "asked", "answer"),
        [
            (aldis.ANY, aldis.ANY, True),
            (aldis.ANY, "north", True),
            ("north", "north", True),
            ("north", "south", False),
            ("north", aldis.ANY, False),
        ],
    )
    def test_has_receivers_for(self, signal, connected, asked, answer):
        """``ANY`` counts the receivers of any sender. Other senders count their own too."""
        signal.connect(receive, connected)
        assert answer is signal.has_receivers_for(asked)
