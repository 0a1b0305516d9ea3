"""Observers are notified of every send and cannot disturb it."""

import asyncio
import logging
from contextlib import contextmanager
from weakref import ref

import pytest

import aldis
from aldis.core import Observer, attach, detach
from aldis.core.observers import current_call
from tests.core.support import Recorder


class Log(Observer):
    """Records every notification."""

    def __init__(self):
        self.events = []
        self.emissions = []
        self.calls = []

    def emission_started(self, emission):
        """A send began."""
        self.emissions.append(emission)
        self.events.append(("send", emission.sender))

    def call_started(self, call):
        """A call begins."""
        self.calls.append(call)
        self.events.append(("call", call.receiver))

    def call_finished(self, call):
        """A call ended."""
        self.events.append(("called", call.receiver))

    def receiver_skipped(self, emission, receiver, reason):
        """A receiver was skipped."""
        self.events.append(("skipped", reason))

    def emission_finished(self, emission):
        """A send ended."""
        self.events.append(("sent", emission.sender))


@contextmanager
def observing(*observers):
    """Attach observers for a ``with`` block."""
    for observer in observers:
        attach(observer)
    try:
        yield
    finally:
        for observer in observers:
            detach(observer)


@pytest.fixture
def log():
    """Give an observer that is attached."""
    seen = Log()
    with observing(seen):
        yield seen


def receive(sender, **extra):
    """Receive anything."""
    return sender


def fail(sender, **extra):
    """Raise."""
    raise ValueError("lamp out")


class TestNotifications:
    def test_the_notifications_of_a_send_are_in_order(self, signal, log):
        """The calls are notified between the beginning and the end of their send."""
        signal.connect(receive)
        assert [(receive, "north")] == signal.send("north", depth=3)
        assert [
            ("send", "north"),
            ("call", receive),
            ("called", receive),
            ("sent", "north"),
        ] == log.events

    def test_an_emission_describes_the_send(self, signal, log):
        """An emission has its signal, sender, payload, method, times and error."""
        signal.send("north", depth=3)
        [emission] = log.emissions
        assert (signal, "north", {"depth": 3}, "send") == (
            emission.signal,
            emission.sender,
            emission.payload,
            emission.how,
        )
        assert emission.finished - emission.started == emission.elapsed
        assert (None, None, False) == (emission.error, emission.cause, emission.muted)

    def test_a_call_describes_the_receiver(self, signal, log):
        """A call has its emission, its receiver and its error."""
        signal.connect(fail)
        with pytest.raises(ValueError, match="lamp out"):
            signal.send("north")
        [call], [emission] = log.calls, log.emissions
        assert (emission, fail, False) == (call.emission, call.receiver, call.is_async)
        assert "lamp out" == str(call.error)
        assert call.error is emission.error
        assert 0 <= call.elapsed <= emission.elapsed

    def test_elapsed_grows_while_a_call_runs(self, signal, log):
        """``elapsed`` of a call grows until the call ends."""
        seen = []
        signal.connect(lambda sender: seen.append(current_call().elapsed), weak=False)
        signal.send()
        assert seen[0] <= log.calls[0].elapsed

    @pytest.mark.parametrize("how", ["send", "send_robust"])
    def test_an_emission_has_the_name_of_the_method(self, signal, log, how):
        """An emission has the name of the method that sent."""
        getattr(signal, how)("north")
        assert [how] == [emission.how for emission in log.emissions]

    @pytest.mark.parametrize("how", ["send_async", "asend", "asend_robust"])
    async def test_an_emission_has_the_name_of_the_async_method(self, signal, log, how):
        """An emission of an async method has its name, and its calls are marked as async."""

        @signal.connect
        async def wait(sender):
            """Be awaited."""

        await getattr(signal, how)("north")
        assert [(how, True)] == [(call.emission.how, call.is_async) for call in log.calls]

    def test_a_muted_send(self, signal, log):
        """An emission of a muted signal is marked as muted."""
        signal.connect(receive)
        with signal.muted():
            signal.send()
        assert ([True], []) == ([each.muted for each in log.emissions], log.calls)

    async def test_a_muted_async_send(self, signal, log):
        """An emission of an async send of a muted signal is marked as muted."""
        with signal.muted():
            await signal.asend()
        assert [True] == [each.muted for each in log.emissions]

    def test_a_skipped_receiver_is_reported_with_the_reason(self, signal, log):
        """The reason is that the receiver was disconnected or has died."""
        kept = [Recorder(), Recorder()]

        def first(sender):
            signal.disconnect(kept[0])
            kept.pop()

        for receiver in (first, *kept):
            signal.connect(receiver)
        del receiver
        signal.send()
        skipped = [fact for event, fact in log.events if event == "skipped"]
        assert ["disconnected during this send", "dead"] == skipped

    def test_a_send_inside_a_receiver_has_a_cause(self, signal, log):
        """The emission of a receiver's send has the receiver's call. The next send has no cause."""
        inner = aldis.Signal()

        def relay(sender):
            inner.send("inner")

        signal.connect(relay)
        signal.send("outer")
        signal.send("outer again")
        outer, caused, again = log.emissions[:3]
        assert (None, log.calls[0], None) == (outer.cause, caused.cause, again.cause)
        assert relay is caused.cause.receiver
        assert current_call() is None

    async def test_the_cause_reaches_the_tasks_of_a_receiver(self, signal, log):
        """A send of a task that a receiver started has the receiver's call as its cause."""
        inner = aldis.Signal()

        @signal.connect
        async def start(sender):
            await asyncio.create_task(inner.asend("inner"))

        await signal.asend("outer")
        assert [None, start] == [each.cause and each.cause.receiver for each in log.emissions]


class TestAttaching:
    def test_attaching_twice_notifies_once(self, signal, log):
        """An observer that is attached twice is notified once."""
        attach(log)
        signal.send()
        assert 1 == len(log.emissions)

    def test_detach_ends_the_notifications(self, signal, log):
        """After ``detach`` an observer gets no notification. A second ``detach`` does nothing."""
        detach(log)
        detach(log)
        signal.send()
        assert [] == log.events

    def test_an_observer_that_is_detached_during_a_send_sees_the_end(self, signal, log):
        """An observer that a receiver detaches is notified of the end of the send."""
        signal.connect(lambda sender: detach(log), weak=False)
        signal.send("north")
        assert ("sent", "north") == log.events[-1]

    def test_an_observer_that_is_attached_during_a_send_waits_for_the_next(self, signal):
        """An observer that a receiver attaches is notified from the next send on."""
        late = Log()
        signal.connect(lambda sender: attach(late), weak=False)
        try:
            signal.send("first")
            assert [] == late.events
            signal.send("second")
            assert 1 == len(late.emissions)
        finally:
            detach(late)

    def test_several_observers(self, signal, log):
        """Every observer gets every notification, in the order in which they were attached."""
        other = Log()
        with observing(other):
            signal.connect(receive)
            signal.send("north")
        assert log.events == other.events

    def test_the_base_observer_ignores_everything(self, signal):
        """Each method of ``Observer`` may be left out."""
        kept = [Recorder()]
        signal.connect(lambda sender: kept.clear(), weak=False)
        signal.connect(kept[0])
        with observing(Observer()):
            assert 1 == len(signal.send())


class TestProgress:
    def test_it_outlives_the_call(self, signal, log):
        """The progress of a call has its times and state, and keeps no object of the program."""
        sender = Recorder()
        signal.connect(receive)
        signal.send(sender)
        [call], alive = log.calls, ref(sender)
        progress = call.progress
        assert (call.started, call.finished) == (progress.started, progress.finished)
        assert ("called", None, None) == (progress.state, progress.delivery_id, progress.error)
        del call, sender
        log.calls.clear()
        log.emissions.clear()
        log.events.clear()
        assert alive() is None

    def test_a_report_changes_it(self, signal, log):
        """A delivery mode sets the state and the delivery, also after the end."""
        signal.connect(receive)
        signal.send()
        [call] = log.calls
        call.report("recorded", 7)
        assert ("recorded", 7) == (call.state, call.delivery_id)


class TestInterrupts:
    """An observer raises an exception that is not an ``Exception``, as an interrupt does."""

    @pytest.mark.parametrize("event", ["emission_started", "call_started", "call_finished"])
    def test_the_send_ends(self, signal, log, event):
        """The interrupt reaches the sender, other observers see the end, and no call stays open."""

        class Interrupted(Observer):
            pass

        def interrupt(self, subject):
            raise KeyboardInterrupt

        setattr(Interrupted, event, interrupt)
        signal.connect(receive)
        with observing(Interrupted()), pytest.raises(KeyboardInterrupt):
            signal.send("north")
        assert ("sent", "north") == log.events[-1]
        assert current_call() is None


class TestIsolation:
    def test_an_observer_that_raises_is_logged_and_left_out(self, signal, log, caplog):
        """The send continues, and other observers get every notification."""

        class Broken(Observer):
            def emission_started(self, emission):
                raise ValueError("observer out")

            call_started = call_finished = emission_finished = emission_started

        signal.connect(receive)
        with observing(broken := Broken()):
            assert [(receive, "north")] == signal.send("north")
        assert 4 == len(log.events)
        assert [("aldis", logging.ERROR)] * 4 == [(r.name, r.levelno) for r in caplog.records]
        assert {f"aldis: the observer {broken!r} failed"} == {
            r.getMessage() for r in caplog.records
        }

    def test_an_observer_does_not_change_the_results(self, signal):
        """A send with an observer has the results and the order of a send without one."""
        for number in range(3):
            signal.connect(Recorder(number), [aldis.ANY, "north", "south"][number], weak=False)
        alone = signal.send("north")
        with observing(Log()):
            assert alone == signal.send("north")
        assert alone == signal.send("north")
