"""Delivery modes without a store: ``once``, ``robust``, and one that a user writes."""

import copy
import inspect
import logging
from threading import Barrier, Thread
from weakref import ref

import pytest

import aldis
from aldis.errors import AsyncReceiverError, ReceiverError
from aldis.receivers import once, robust
from tests.core.support import Recorder, Sender, collect, exactly, line_of


@pytest.fixture
def signal():
    """Give a signal."""
    return aldis.Signal()


def plain(sender, *, depth=0):
    """Receive."""
    return sender, depth


class TestDecorated:
    @pytest.mark.parametrize("decorate", [once, robust])
    def test_a_static_method(self, decorate):
        """It gets no instance, from whatever it is looked up on."""

        class Lamp:
            @decorate
            @staticmethod
            def light(sender):
                return sender

        assert Lamp.light is Lamp().light
        for receiver in (Lamp.light, Lamp().light):
            signal = aldis.Signal()
            signal.connect(receiver)
            assert [(Lamp.light, "north")] == signal.send("north")

    @pytest.mark.parametrize("decorate", [once, robust])
    def test_it_looks_like_its_function(self, decorate):
        """Name, doc, module, signature and ``__wrapped__`` are the function's."""
        receiver = decorate(plain)
        assert ("plain", "Receive.", __name__) == (
            receiver.__name__,
            receiver.__doc__,
            receiver.__module__,
        )
        assert plain is receiver.__wrapped__
        assert inspect.signature(plain) == inspect.signature(receiver)
        assert f"<{decorate.__name__} plain>" == repr(receiver)

    @pytest.mark.parametrize("decorate", [once, robust])
    def test_parentheses_make_no_difference(self, signal, decorate):
        """``@robust()`` is ``@robust``, for a subclass of it, too."""
        for mode in (decorate, type("mine", (decorate,), {})):

            @signal.connect
            @mode()
            def receive(sender):
                return sender

            assert type(receive) is mode
            assert [(receive, "north")] == signal.send("north")
            signal.disconnect(receive)

    @pytest.mark.parametrize("decorate", [once, robust])
    def test_a_copy_is_a_receiver(self, decorate):
        """``copy`` gives a receiver with the function, not the class."""
        receiver = decorate(plain)
        for duplicate in (copy.copy(receiver), copy.deepcopy(receiver)):
            assert type(duplicate) is decorate
            assert plain is duplicate.__wrapped__

    @pytest.mark.parametrize("decorate", [once, robust])
    def test_called_directly_it_simply_runs(self, decorate):
        """A direct call runs the receiver each time, without its delivery mode."""
        receiver = decorate(plain)
        assert [("north", 3)] * 2 == [receiver("north", depth=3) for _ in range(2)]

    @pytest.mark.parametrize("decorate", [once, robust])
    def test_called_directly_it_simply_raises(self, decorate):
        """An error of a direct call is the caller's."""

        @decorate
        def fail(sender):
            raise ValueError("lamp out")

        with pytest.raises(ValueError, match="lamp out"):
            fail("north")

    @pytest.mark.parametrize("decorate", [once, robust])
    def test_it_works_with_every_way_to_connect(self, signal, decorate):
        """``connect``, ``connect_via``, ``subscribe`` and ``connected_to`` take it."""
        receiver = decorate(plain)
        ways = [
            signal.connect,
            signal.connect_via("north"),
            signal.subscribe,
            lambda each: signal.connected_to(each).__enter__(),
        ]
        for connect in ways:
            kept = connect(receiver)
            if kept is None:
                continue
            assert [(receiver, ("north", 3))] == signal.send("north", depth=3)
            signal.disconnect(receiver)

    @pytest.mark.parametrize("decorate", [once, robust])
    def test_what_is_not_callable_is_refused(self, decorate):
        """The mistake is found when decorating."""
        mode = decorate.__name__
        text = f"a receiver must be callable, not int 7; write @{mode} above the function"
        with pytest.raises(ReceiverError, match=exactly(text)):
            decorate(7)

    @pytest.mark.parametrize(("outer", "inner"), [(once, robust), (robust, once), (robust, robust)])
    def test_two_deliveries_are_refused(self, outer, inner):
        """A receiver has one delivery mode. The message names the two decorators."""
        text = (
            f"plain ({line_of(plain)}) cannot be {outer.__name__} as well as {inner.__name__}: a "
            "receiver has one delivery mode"
        )
        with pytest.raises(ReceiverError, match=exactly(text)):
            outer(inner(plain))


class TestRobust:
    def test_its_error_is_not_the_senders(self, signal):
        """The send goes on, and ``None`` is the value."""
        later = Recorder(7)

        @signal.connect
        @robust
        def fail(sender):
            raise ValueError("lamp out")

        signal.connect(later)
        assert [(fail, None), (later, 7)] == signal.send("north")

    def test_its_error_is_logged(self, signal, caplog):
        """The log names the receiver and its place, with the traceback."""

        @signal.connect
        @robust
        def fail(sender):
            raise ValueError("lamp out")

        signal.send()
        [record] = caplog.records
        function = fail.__wrapped__
        text = f"robust receiver {function.__qualname__} ({line_of(function)}) raised"
        assert (text, logging.ERROR) == (record.getMessage(), record.levelno)
        assert ValueError is record.exc_info[0]

    def test_what_is_no_exception_propagates(self, signal):
        """``KeyboardInterrupt`` is for the program."""

        @signal.connect
        @robust
        def interrupt(sender):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            signal.send()

    async def test_async(self, signal, caplog):
        """An async receiver stays async, and its error is kept from the sender too."""

        @signal.connect
        @robust
        async def fail(sender):
            raise ValueError("lamp out")

        @signal.connect
        @robust
        async def wait(sender):
            return sender

        with pytest.raises(AsyncReceiverError):
            signal.send()
        assert [(fail, None), (wait, "north")] == await signal.asend("north")
        assert 1 == len(caplog.records)

    def test_on_a_method(self, signal):
        """A decorated method is connected for each object, and held weakly."""

        class Post:
            def __init__(self):
                self.letters = []

            @robust
            def receive(self, sender):
                self.letters.append(sender)

        post = Post()
        assert isinstance(Post.receive, robust)
        signal.connect(post.receive)
        assert [(post.receive, None)] == signal.send("north")
        assert ["north"] == post.letters
        del post
        assert [] == signal.send("south")

    def test_it_is_held_weakly(self, signal):
        """A robust receiver is kept by its module, not by the signal."""
        signal.connect(robust(plain))
        assert [] == signal.send()


class TestOnce:
    def test_only_the_first_send(self, signal):
        """The receiver runs once and is disconnected."""
        receiver = once(plain)
        signal.connect(receiver)
        assert [(receiver, ("north", 0))] == signal.send("north")
        assert [] == signal.send("north")
        assert not signal.receivers

    def test_it_is_disconnected_before_it_runs(self, signal):
        """A send inside it does not call it again."""
        heard = []

        @signal.connect
        @once
        def receiver(sender):
            heard.append(sender)
            signal.send("inner")

        signal.send("outer")
        assert ["outer"] == heard

    def test_it_is_used_up_when_it_raises(self, signal):
        """The one call counts whether it raises or not."""

        @signal.connect
        @once
        def fail(sender):
            raise ValueError("lamp out")

        with pytest.raises(ValueError, match="lamp out"):
            signal.send()
        assert [] == signal.send()

    def test_for_several_senders_it_is_still_once(self, signal):
        """``once`` allows one call for each signal, from any sender."""
        receiver = once(plain)
        for sender in ("north", "south"):
            signal.connect(receiver, sender)
        assert 1 == len(signal.send("north"))
        assert [] == signal.send("south")

    def test_once_for_each_signal(self, signal):
        """Two signals have one call each."""
        receiver, other = once(plain), aldis.Signal()
        signal.connect(receiver)
        other.connect(receiver)
        assert (1, 1, 0) == (len(signal.send()), len(other.send()), len(other.send()))

    def test_connected_again_it_waits_for_one_more(self, signal):
        """A receiver that has run can be connected anew, inside its own call too."""
        heard = []

        @once
        def receiver(sender):
            heard.append(sender)
            signal.connect(receiver)

        signal.connect(receiver)
        for number in range(3):
            signal.send(number)
        assert [0, 1, 2] == heard

    def test_it_is_held_until_then(self, signal):
        """The signal holds a ``once`` receiver until its call, and then releases it."""
        recorder = Recorder()
        alive = ref(recorder)
        signal.connect(once(recorder.__call__))
        del recorder
        collect()
        assert 1 == len(signal.send("north"))
        collect()
        assert alive() is None

    def test_on_threads_it_is_still_once(self, signal):
        """Of sends on many threads at once, one calls it."""
        heard, start = [], Barrier(8)
        for _ in range(20):
            heard.clear()
            signal.connect(once(lambda sender: heard.append(sender)))

            def send():
                start.wait(5)
                signal.send("north")

            threads = [Thread(target=send) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert ["north"] == heard

    def test_what_receivers_for_gave_counts_once(self, signal):
        """A callable from an earlier ``receivers_for`` cannot call the receiver again."""
        signal.connect(once(plain))
        [call] = signal.receivers_for("north")
        assert [("north", 0), None] == [call("north"), call("north")]
        assert not signal.receivers

    def test_it_outlives_its_signal(self):
        """The call is there, although the signal is gone."""
        signal = aldis.Signal()
        signal.connect(once(plain))
        [call] = signal.receivers_for("north")
        del signal
        collect()
        assert ("north", 0) == call("north")

    async def test_async(self, signal):
        """An async receiver is awaited once."""

        @signal.connect
        @once
        async def wait(sender):
            return sender

        assert [(wait, "north")] == await signal.asend("north")
        assert [] == await signal.asend("north")

    async def test_a_claim_is_taken_for_async_sends_too(self, signal):
        """Two sends under way at once call an async receiver once."""
        heard = []

        @signal.connect
        async def first(sender):
            if sender == "outer":
                await signal.asend("inner")

        @signal.connect
        @once
        async def receiver(sender):
            heard.append(sender)

        await signal.asend("outer")
        assert ["inner"] == heard

    def test_on_a_method_it_is_once_for_each_object(self, signal):
        """Two objects have one call each."""

        class Post:
            def __init__(self):
                self.letters = []

            @once
            def receive(self, sender):
                self.letters.append(sender)

        first, second = Post(), Post()
        for post in (first, second):
            signal.connect(post.receive)
        signal.send("north")
        signal.send("south")
        assert (["north"], ["north"]) == (first.letters, second.letters)

    def test_its_sender_may_die(self, signal):
        """A receiver that waits for a sender that is gone waits no more."""
        sender = Sender()
        signal.connect(once(plain), sender)
        del sender
        assert not signal.receivers


class every_second:  # noqa: N801 - a decorator
    """A delivery mode in ten lines: it runs at every second send."""

    def __init__(self, function):
        self.function = function
        self.count = 0

    def __call__(self, sender, **payload):
        """Call the function."""
        return self.function(sender, **payload)

    def __bind_signal__(self, signal):
        return self.deliver

    def deliver(self, sender, **payload):
        """Call the function at every second send."""
        self.count += 1
        return None if self.count % 2 else self.function(sender, **payload)


class TestOnesOwn:
    def test_ten_lines_are_enough(self, signal):
        """A class with ``__bind_signal__`` is a delivery mode for all of the API."""
        receiver = every_second(plain)
        signal.connect(receiver)
        values = [value for _ in range(4) for _, value in signal.send("north")]
        assert [None, ("north", 0), None, ("north", 0)] == values
        assert "every_second" == signal.explain().rows[0].delivery
        signal.disconnect(receiver)
        assert not signal.receivers

    def test_it_goes_through_contracts(self):
        """The contract applies to a receiver with a delivery mode."""

        @aldis.Namespace().define
        def lit(sender, /, *, depth: int) -> None: ...

        receiver = every_second(plain)
        lit.connect(receiver)
        assert [(receiver, None)] == lit.send("north", depth=3)
