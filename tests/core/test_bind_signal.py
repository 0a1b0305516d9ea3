"""Receivers with ``__bind_signal__``: their calls, references, names and errors."""

import gc
from functools import partial, wraps
from types import MethodType
from unittest.mock import MagicMock
from weakref import ref

import pytest

import aldis
from aldis.core import SupportsBindSignal
from aldis.errors import ReceiverError
from tests.core.support import Recorder, collect, exactly, line_of, resend


class weakly:  # noqa: N801 - a decorator has a name in lower case
    """A delivery mode whose callable is a bound method of the receiver."""

    def __init__(self, function):
        self.function = function
        self.__wrapped__ = function
        self.asked = []

    def __call__(self, *args, **payload):
        """Call the function without the delivery mode."""
        return self.function(*args, **payload)

    def __get__(self, instance, owner=None):
        """Bind to an object, as a function does."""
        return self if instance is None else MethodType(self, instance)

    def __bind_signal__(self, signal):
        self.asked.append(signal)
        return self.deliver

    def deliver(self, *args, **payload):
        """Deliver."""
        return "delivered", self.function(*args, **payload)


class strongly(weakly):  # noqa: N801 - a decorator has a name in lower case
    """A delivery mode whose callable is another object."""

    def __bind_signal__(self, signal):
        self.asked.append(signal)
        function = self.function
        return lambda *args, **payload: ("delivered", function(*args, **payload))


def receive(sender, **extra):
    """Receive anything."""
    return sender


class TestCallableOfADeliveryMode:
    @pytest.mark.parametrize("delivery", [weakly, strongly])
    def test_send_calls_the_callable_of_bind_signal(self, signal, delivery):
        """``send`` calls the callable of ``__bind_signal__`` and names the receiver."""
        receiver = delivery(receive)
        signal.connect(receiver)
        assert [(receiver, ("delivered", "north"))] == resend(signal, "north")
        assert "north" == receiver("north")

    def test_bind_signal_is_called_once_for_each_signal(self, signal):
        """Senders, sends and repeated connects share one callable."""
        receiver, other = weakly(receive), aldis.Signal()
        for sender in ("north", "south"):
            signal.connect(receiver, sender)
        other.connect(receiver)
        signal.connect(receiver, "north", weak=False)
        signal.send("north")
        assert [signal, other] == receiver.asked

    def test_bind_signal_is_called_again_after_a_full_disconnect(self, signal):
        """A receiver that is connected again gets a new callable."""
        receiver = weakly(receive)
        for _ in range(2):
            signal.connect(receiver)
            signal.disconnect(receiver)
        assert [signal, signal] == receiver.asked

    def test_an_attribute_of_the_instance_is_ignored(self, signal):
        """The method is looked up on the type, as ``__get__`` is."""
        receiver = Recorder(7)
        receiver.__bind_signal__ = lambda signal: None
        signal.connect(receiver)
        assert [(receiver, 7)] == resend(signal)

    def test_a_mock_has_no_delivery_mode(self, signal):
        """A signal calls a mock directly, although a mock has every attribute."""
        mock = MagicMock(return_value=7)
        signal.connect(mock)
        assert [(mock, 7)] == resend(signal)

    async def test_a_receiver_with_an_async_callable_is_async(self, signal):
        """The callable decides whether the call is async, not the receiver."""

        class Later(weakly):
            async def deliver(self, sender):
                return "delivered"

        receiver = Later(receive)
        signal.connect(receiver)
        with pytest.raises(aldis.errors.AsyncReceiverError):
            signal.send()
        assert [(receiver, "delivered")] == await signal.asend()

    def test_isinstance_recognises_the_protocol(self):
        """``isinstance`` with ``SupportsBindSignal`` recognises a receiver with a delivery mode."""
        assert isinstance(weakly(receive), SupportsBindSignal)
        assert not isinstance(receive, SupportsBindSignal)


class TestMethods:
    class Post:
        """A class whose methods have delivery modes."""

        @weakly
        def by_method(self, sender, **extra):
            """Receive."""
            return self, sender

        @strongly
        def by_function(self, sender, **extra):
            """Receive."""
            return self, sender

    @pytest.mark.parametrize("name", ["by_method", "by_function"])
    def test_the_callable_of_a_method_gets_the_object_and_the_sender(self, signal, name):
        """On a method, the callable gets the object and the sender."""
        post = self.Post()
        receiver = getattr(post, name)
        signal.connect(receiver)
        assert [(receiver, ("delivered", (post, "north")))] == resend(signal, "north")

    def test_methods_of_two_objects_are_two_receivers(self, signal):
        """Each object is connected and disconnected by itself."""
        first, second = self.Post(), self.Post()
        signal.connect(first.by_method)
        signal.connect(second.by_method)
        signal.disconnect(first.by_method)
        assert [second.by_method] == [receiver for receiver, _ in signal.send()]

    def test_a_weak_method_is_disconnected_when_its_object_dies(self, signal):
        """If the callable is the receiver's own method, the signal holds the object weakly."""
        post = self.Post()
        signal.connect(post.by_method)
        del post
        assert [] == resend(signal)


class TestStrength:
    def test_a_receiver_whose_callable_is_its_method_is_held_weakly(self, signal):
        """The receiver dies with its last reference."""
        receiver = weakly(receive)
        signal.connect(receiver)
        alive = ref(receiver)
        del receiver
        assert alive() is None
        assert [] == resend(signal)

    def test_a_receiver_with_any_other_callable_is_held_strongly(self, signal):
        """The receiver stays until it is disconnected, even with ``weak=True``."""
        receiver = strongly(receive)
        signal.connect(receiver, weak=True)
        alive = ref(receiver)
        del receiver
        collect()
        assert 1 == len(signal.send())
        signal.disconnect(alive())
        collect()
        assert alive() is None

    def test_a_cycle_through_the_callable_is_collected_with_the_signal(self):
        """A strong delivery mode does not keep the signal alive."""
        signal = aldis.Signal()
        signal.connect(strongly(receive))
        alive = ref(signal)
        del signal
        gc.collect()
        assert alive() is None


class TestReceiversFor:
    @pytest.mark.parametrize("delivery", [weakly, strongly])
    def test_a_yielded_callable_has_the_receiver_in_wrapped(self, signal, delivery):
        """``receivers_for`` yields the callable, and its ``__wrapped__`` is the receiver."""
        receiver = delivery(receive)
        signal.connect(receiver)
        [call] = signal.receivers_for("north")
        assert ("delivered", "north") == call("north")
        assert receiver is call.__wrapped__

    def test_a_callable_that_has_wrapped_already_is_yielded_unchanged(self, signal):
        """A callable with ``functools.wraps`` is yielded unchanged."""

        @wraps(receive)
        def answer(sender):
            return "delivered"

        class Delivery(weakly):
            def __bind_signal__(self, signal):
                return answer

        signal.connect(Delivery(receive))
        assert [answer] == list(signal.receivers_for("north"))


class TestHiddenDeliveryModes:
    def test_a_wrapper_of_a_delivery_mode_is_refused(self, signal):
        """The error for a wrapper that hides a delivery mode names its location and the remedy."""

        @wraps(strongly(receive))
        def wrapper(sender, **extra):
            """Call the receiver directly."""

        text = (
            f"{wrapper.__qualname__} ({line_of(receive)}) wraps a receiver that has a delivery "
            "mode (strongly) and would bypass it; put the strongly decorator outermost"
        )
        with pytest.raises(ReceiverError, match=exactly(text)) as raised:
            signal.connect(wrapper)
        assert isinstance(raised.value, TypeError)
        assert not signal.receivers

    def test_a_partial_of_a_delivery_mode_is_refused(self, signal):
        """A partial around a delivery mode is refused at any depth."""
        with pytest.raises(ReceiverError, match="put the weakly decorator outermost"):
            signal.connect(partial(partial(weakly(receive), depth=3), colour="red"))

    def test_a_wrapper_on_a_method_is_refused(self, signal):
        """A bound method whose function wraps a delivery mode is refused."""

        class Post:
            @wraps(weakly(receive))
            def method(self, sender):
                """Call the receiver directly."""

        with pytest.raises(ReceiverError, match="put the weakly decorator outermost"):
            signal.connect(Post().method)

    def test_two_delivery_modes_are_refused(self, signal):
        """Two delivery modes around each other are refused."""
        text = (
            f"receive ({line_of(receive)}) has two delivery modes, strongly around weakly; a "
            "receiver has one: remove one of the two decorators"
        )
        with pytest.raises(ReceiverError, match=exactly(text)):
            signal.connect(strongly(weakly(receive)))

    def test_a_wrapper_of_a_plain_function_is_accepted(self, signal):
        """``functools.wraps`` over a plain function is a receiver like any other."""

        @wraps(receive)
        def wrapper(sender):
            return "wrapped"

        signal.connect(wrapper)
        assert [(wrapper, "wrapped")] == resend(signal)

    def test_a_function_that_wraps_itself_is_accepted(self, signal):
        """A function that claims to wrap itself can be connected."""

        def circular(sender):
            return 7

        circular.__wrapped__ = circular
        signal.connect(circular)
        assert signal.explain().rows[0].runs
        assert [(circular, 7)] == resend(signal)

    def test_bind_signal_must_return_a_callable(self, signal):
        """The message names the receiver, its type and what it returned."""

        class Broken(weakly):
            def __bind_signal__(self, signal):
                return None

        text = "__bind_signal__ of receive (Broken) must return a callable, not NoneType"
        with pytest.raises(ReceiverError, match=exactly(text)):
            signal.connect(Broken(receive))
        assert not signal.receivers
