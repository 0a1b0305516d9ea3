"""Sending to sync receivers: results, errors, relays, overridden receivers_for."""

import asyncio
import logging
import sys
from copy import copy
from dataclasses import FrozenInstanceError, replace

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
    def test_pairs_of_receiver_and_value(self, signal):
        """``send`` returns the value of each receiver, in order."""
        first, second = Recorder(1), Recorder(2)
        signal.connect(first)
        signal.connect(second)
        assert [(first, 1), (second, 2)] == resend(signal, "north", depth=3)
        assert ["north"] * 3 == first.senders
        assert [{"depth": 3}] * 3 == second.payloads

    def test_to_nobody_returns_nothing(self, signal):
        """A send without receivers returns a new empty list each time."""
        assert [] == resend(signal, "north", depth=3)
        assert signal.send() is not signal.send()

    def test_sender_is_positional_only(self, signal):
        """The payload may have an argument called ``self`` or ``sender``'s like."""
        signal.connect(lambda source, /, **payload: payload, weak=False)
        payload = {"self": 1, "sender": 2}
        assert [payload] == [value for _, value in signal.send("north", **payload)]

    def test_an_error_propagates_and_ends_the_send(self, signal):
        """An exception of a receiver reaches the sender, and later receivers are not called."""
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
        """``_async_wrapper`` is used for the async receivers, and for them only."""
        wrapped = []

        def wrapper(function):
            wrapped.append(function)
            return lambda sender, **payload: ("wrapped", sender, payload)

        signal.connect(receive)
        signal.connect(wait)
        results = signal.send("north", _async_wrapper=wrapper, depth=3)
        assert [(receive, "north"), (wait, ("wrapped", "north", {"depth": 3}))] == results
        assert [wait] == wrapped

    def test_a_receiver_without_a_source_is_named_alone(self, signal):
        """The error for a receiver without source has no location."""
        signal.connect([].append, weak=False)
        with pytest.raises(AsyncReceiverError, match=r"receiver list\.append is sync: use asend"):
            asyncio.run(signal.send_async())

    def test_a_dead_async_receiver_is_no_obstacle(self, signal):
        """A dead async receiver does not prevent a send."""

        async def local(sender):
            """Be awaited."""

        signal.connect(local)
        signal.connect(receive)
        del local
        assert [(receive, None)] == resend(signal)


class TestSendRobust:
    def test_outcomes_in_order(self, signal, caplog):
        """Each receiver has its outcome, with the value or the error."""
        signal.connect(receive)
        signal.connect(fail)
        later = Recorder(7)
        signal.connect(later)
        outcomes = signal.send_robust("north")
        assert [receive, fail, later] == [outcome.receiver for outcome in outcomes]
        assert ["north", None, 7] == [outcome.value for outcome in outcomes]
        assert [True, False, True] == [outcome.ok for outcome in outcomes]

    def test_errors_are_logged_with_their_place(self, signal, caplog):
        """The log names the receiver, its location and the signal, with the traceback."""
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

    def test_an_outcome_is_a_frozen_dataclass(self):
        """It compares, prints and copies by its fields, and refuses changes."""
        outcome = aldis.Outcome(receive, 7)
        assert outcome == aldis.Outcome(receiver=receive, value=7, error=None)
        assert hash(outcome) == hash(aldis.Outcome(receive, 7))
        assert repr(outcome) == f"Outcome(receiver={receive!r}, value=7, error=None)"
        assert replace(outcome, value=8) == copy(aldis.Outcome(receive, 8)) != outcome
        with pytest.raises(FrozenInstanceError):
            outcome.value = 8
        with pytest.raises(AttributeError):
            outcome.other = 8

    def test_the_receivers_after_an_error_handle_no_error(self, signal, turn):
        """A robust send has logged the error and gone on; ``sys.exc_info`` is empty again."""
        seen = []

        @signal.connect
        def fail(sender):
            raise ValueError

        @signal.connect
        def look(sender):
            seen.append(sys.exc_info()[1])

        if turn.warm:
            signal.send_robust()
            signal.send_robust()
        assert [ValueError, type(None)] == [type(each.error) for each in signal.send_robust()]
        assert {None} == set(seen)

    def test_an_async_receiver_is_an_error(self, signal):
        """A mistake of the program is not collected: the robust send refuses too."""
        signal.connect(wait)
        with pytest.raises(AsyncReceiverError):
            signal.send_robust()

    def test_what_is_no_exception_propagates(self, signal):
        """``KeyboardInterrupt`` and its like are for the program."""

        @signal.connect
        def interrupt(sender):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            signal.send_robust()


class TestEveryReceiverRuns:
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

    async def test_in_async_sends_too(self, signal):
        """``asend`` and ``send_async`` go on after an error as well."""
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
        """Set back, the first error ends the send again."""
        later = Recorder()
        signal.connect(fail)
        signal.connect(later)
        signal.continue_on_error = True
        signal.continue_on_error = False
        with pytest.raises(ValueError, match="lamp out"):
            signal.send()
        assert [] == later.senders

    def test_values_are_returned_when_nothing_is_raised(self, signal):
        """Without an error it is a send like any other."""
        signal.continue_on_error = True
        signal.connect(receive)
        assert [(receive, "north")] == resend(signal, "north")


class TestRelays:
    def test_a_signal_can_be_the_receiver_of_another(self):
        """``a.connect(b.send)`` passes on the sender and the payload, held weakly."""
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
        """An async receiver at the far end gets the wrapper of the near one."""
        near, far = aldis.Signal(), aldis.Signal()
        near.connect(far.send)
        far.connect(wait)
        results = near.send("north", _async_wrapper=lambda function: lambda sender: "wrapped")
        assert [(far.send, [(wait, "wrapped")])] == results

    def test_a_relay_without_a_wrapper(self):
        """An async receiver at the far end is refused there, by the far signal."""
        near, far = aldis.NamedSignal("near"), aldis.NamedSignal("far")
        near.connect(far.send)
        far.connect(wait)
        with pytest.raises(AsyncReceiverError, match="far was not sent"):
            near.send()

    async def test_a_relay_goes_on_as_asend(self):
        """``asend`` at the near end awaits the receivers at the far end."""
        near, far = aldis.Signal(), aldis.Signal()
        near.connect(far.send)
        far.connect(wait)
        far.connect(receive)
        assert [[(wait, "north"), (receive, "north")]] == [
            value for _, value in await near.asend("north")
        ]

    async def test_a_relay_passes_the_sync_wrapper_on(self):
        """``send_async`` at the near end is ``send_async`` at the far end, wrapper included."""
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
    def test_on_an_instance(self, signal):
        """``send`` calls the callables of a replaced ``receivers_for``."""
        signal.connect(receive)
        original = signal.receivers_for
        signal.receivers_for = lambda sender: [*original(sender), fail]
        with pytest.raises(ValueError, match="lamp out"):
            signal.send("north")
        del signal.receivers_for
        assert [(receive, "north")] == resend(signal, "north")

    def test_wrappers_are_named_in_the_pairs(self, signal):
        """A callable that stands for a receiver is the one that the pairs name."""
        signal.connect(receive)
        original = signal.receivers_for

        def wrapped(sender, **extra):
            return "wrapped"

        signal.receivers_for = lambda sender: [wrapped for _ in original(sender)]
        assert [(wrapped, "wrapped")] == resend(signal, "north")

    def test_in_a_subclass(self):
        """A subclass may choose as well."""

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

    def test_a_delivery_that_is_passed_through_keeps_its_name(self, signal):
        """If an override yields the original callables, ``send`` names the connected receivers."""

        class Delivery(Recorder):
            def __bind_signal__(self, source):
                return lambda sender: "delivered"

        receiver = Delivery()
        signal.connect(receiver)
        original = signal.receivers_for
        signal.receivers_for = lambda sender: original(sender)
        assert [(receiver, "delivered")] == resend(signal, "north")

    def test_muting_counts_before_the_override(self, signal):
        """A muted signal does not ask ``receivers_for``."""
        asked = Recorder(answer=[])
        signal.receivers_for = asked
        with signal.muted():
            signal.send("north")
        assert [] == asked.senders


class TestLookingAtReceivers:
    def test_receivers_for_yields_what_is_called(self, signal):
        """It yields the living receivers of a sender and of any sender once, in order."""
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
        """``ANY`` counts receivers of every sender. Another sender counts its own too."""
        signal.connect(receive, connected)
        assert answer is signal.has_receivers_for(asked)
