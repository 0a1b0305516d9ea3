"""``current_signal()`` is the signal whose receiver is running."""

import asyncio
import contextvars
from functools import partial, wraps

import pytest

import aldis
from aldis import current_signal
from aldis.core import Observer, attach, detach
from aldis.errors import NoSignalError
from aldis.receivers import once, robust


@pytest.fixture
def signals(shop):
    """Give two signals."""
    return shop.signal("paid"), shop.signal("cancelled")


def ask(sender, **extra):
    """Return the name of the signal."""
    return current_signal().name


def ask_for_nothing(sender, **extra):
    """Do not ask."""


async def ask_later(sender, **extra):
    """Return the name of the signal before and after a wait."""
    before = current_signal()
    await asyncio.sleep(0)
    assert current_signal() is before
    return before.name


class Asker:
    """Has receivers of many kinds."""

    def method(self, sender, **extra):
        """Return the name of the signal."""
        return current_signal().name

    @staticmethod
    def static(sender, **extra):
        """Return the name of the signal."""
        return current_signal().name

    @robust
    def sturdy(self, sender, **extra):
        """Return the name of the signal."""
        return current_signal().name

    def __call__(self, sender, **extra):
        """Return the name of the signal."""
        return aldis.current_signal().name


def wrapped(function):
    """Wrap a function, as a decorator does."""

    @wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def inner(sender, **extra):
    """Ask in a function that is defined here."""

    def ask_inside():
        return next(current_signal().name for _ in range(1))

    return ask_inside()


def imported_late(sender, **extra):
    """Import the function at the call."""
    from aldis import current_signal as asked  # noqa: F401 - the name in the code counts
    from aldis.core.current import current_signal

    return current_signal().name


asker = Asker()

RECEIVERS = {
    "function": ask,
    "lambda": lambda sender, **extra: current_signal().name,
    "method": asker.method,
    "staticmethod": asker.static,
    "object": asker,
    "partial": partial(ask, more=1),
    "partial of a method": partial(asker.method),
    "wrapper": wrapped(ask),
    "robust": robust(ask),
    "robust method": asker.sturdy,
    "robust wrapper": robust(wrapped(ask)),
    "inner function": inner,
    "late import": imported_late,
}


class TestReceivers:
    @pytest.mark.parametrize("kind", RECEIVERS)
    def test_every_kind_of_receiver(self, signals, kind):
        """Each sync way to send has the signal, at each send."""
        receiver = RECEIVERS[kind]
        for signal in signals:
            signal.connect(receiver)
        for signal in (*signals, *signals):
            assert [signal.name] == [value for _, value in signal.send("north")]
            assert [signal.name] == [each.value for each in signal.send_robust("north")]

    def test_once(self, signals):
        """Each signal calls a ``once`` receiver once."""
        receiver = once(ask)
        for signal in signals:
            signal.connect(receiver)
            assert [(receiver, signal.name)] == signal.send()

    @pytest.mark.parametrize("how", ["asend", "send_async", "asend_robust"])
    async def test_async_receivers(self, signals, how):
        """Two tasks that take turns do not mix their signals."""
        for signal in signals:
            signal.connect(ask_later)
        first, second = await asyncio.gather(*[getattr(each, how)() for each in signals])
        found = [getattr(each[0], "value", None) or each[0][1] for each in (first, second)]
        assert ["paid", "cancelled"] == found

    async def test_a_sync_receiver_in_an_async_send(self, signals):
        """It has the signal, too."""
        signals[0].connect(ask)
        assert [(ask, "paid")] == await signals[0].asend()

    def test_an_async_wrapper(self, signals):
        """``send`` with a wrapper calls the async receiver with its signal."""

        def run_now(function):
            return lambda *args, **kwargs: asyncio.run(function(*args, **kwargs))

        signals[1].connect(ask_later)
        assert [(ask_later, "cancelled")] == signals[1].send(_async_wrapper=run_now)

    def test_continue_on_error(self, signals):
        """The receivers after one that raised have the signal."""
        paid, _ = signals
        paid.continue_on_error = True
        heard = []

        def fail(sender, **extra):
            raise LookupError

        paid.connect(fail)
        paid.connect(lambda sender, **extra: heard.append(current_signal()), weak=False)
        with pytest.raises(LookupError):
            paid.send()
        assert [paid] == heard

    def test_observed(self, signals):
        """A trace or another observer changes nothing."""
        signals[0].connect(ask)
        observer = Observer()
        attach(observer)
        try:
            assert [(ask, "paid")] == signals[0].send()
        finally:
            detach(observer)

    def test_an_overridden_receivers_for(self, signals):
        """The receivers that the override returns have the signal."""
        signals[0].receivers_for = lambda sender: iter([ask])
        assert [(ask, "paid")] == signals[0].send()

    def test_an_unnamed_signal(self, signal):
        """Any signal will do."""
        signal.connect(lambda sender, **extra: current_signal(), weak=False)
        [(_, found)] = signal.send()
        assert signal is found


class TestNested:
    def test_a_send_inside_a_receiver(self, signals):
        """The inner receivers have the inner signal, and then the outer one is back."""
        paid, cancelled = signals

        def outer(sender, **extra):
            before = current_signal().name
            inside = cancelled.send()[0][1]
            return before, inside, current_signal().name

        paid.connect(outer)
        cancelled.connect(ask)
        assert [(outer, ("paid", "cancelled", "paid"))] == paid.send()

    def test_a_receiver_that_does_not_ask(self, signals):
        """A helper of an inner receiver does not get the outer signal by mistake."""
        paid, cancelled = signals

        def helper():
            return current_signal()

        def silent(sender, **extra):
            return helper()

        # The name `helper` hides the question from the code of `silent`.
        def outer(sender, **extra):
            assert current_signal() is paid
            cancelled.send()

        paid.connect(outer)
        cancelled.connect(silent)
        with pytest.raises(NoSignalError, match=r"in the receiver itself"):
            paid.send()

    def test_after_an_error(self, signals):
        """An error in a receiver leaves no signal behind."""

        def fail(sender, **extra):
            raise LookupError(current_signal().name)

        signals[0].connect(fail)
        with pytest.raises(LookupError, match="paid"):
            signals[0].send()
        with pytest.raises(NoSignalError):
            current_signal()

    def test_a_context_of_a_generator(self, signals):
        """A receiver may run code in a copy of its context."""

        def outer(sender, **extra):
            def ask_inside():
                return current_signal().name

            return contextvars.copy_context().run(ask_inside)

        signals[0].connect(outer)
        assert [(outer, "paid")] == signals[0].send()


class TestErrors:
    def test_outside_a_receiver(self):
        """The error names the function and its file."""
        with pytest.raises(NoSignalError, match=r"test_outside_a_receiver \(.*:\d+\)"):
            current_signal()

    def test_a_direct_call(self, signals):
        """A test that calls the receiver itself gets the error."""
        signals[0].connect(ask)
        with pytest.raises(NoSignalError):
            ask("north")

    def test_another_name(self, signals):
        """The error names the remedy."""
        renamed = current_signal

        def receive(sender, **extra):
            return renamed()

        signals[0].connect(receive)
        with pytest.raises(LookupError, match="under this name in the receiver itself"):
            signals[0].send()


def test_other_signals_keep_the_fast_path(signals):
    """The call loop walks the links of a signal that only other receivers listen to."""
    paid, cancelled = signals
    paid.connect(ask)
    cancelled.connect(ask_for_nothing)
    for signal in (*signals, *signals):
        signal.send()
    assert (None, 1) == (paid._routes.everyone, len(cancelled._routes.everyone))
