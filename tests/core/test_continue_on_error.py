"""Signals that call the remaining receivers after a receiver raised."""

import logging
from unittest.mock import create_autospec

import pytest

import aldis
from tests.core.support import Recorder


def fail(sender):
    """Raise."""
    raise ValueError("lamp out")


def interrupt(sender):
    """Raise an exception that no send collects, while another error is being handled."""
    try:
        [].pop()
    except IndexError:
        raise KeyboardInterrupt  # noqa: B904 - the test looks at the chain of contexts


class RaisingHandler(logging.Handler):
    """A log handler that raises every logged error, as tests of applications do."""

    def emit(self, record):
        """Raise the logged error."""
        raise record.exc_info[1]


@pytest.fixture
def raising_log():
    """Make the log of aldis raise every logged error."""
    handler = RaisingHandler()
    logging.getLogger("aldis").addHandler(handler)
    yield
    logging.getLogger("aldis").removeHandler(handler)


def contexts(error):
    """Return the types of the errors that were being handled when ``error`` was raised."""
    found = []
    while error.__context__ is not None and len(found) < 10:
        error = error.__context__
        found.append(type(error))
    return found


class TestErrors:
    def test_the_context_of_a_keyboard_interrupt_ends_with_the_first_error(self, signal):
        """The context of the interrupt has its own cause, and then the first error."""
        signal.continue_on_error = True
        signal.send("north")
        signal.connect(fail)
        signal.connect(interrupt)
        signal.has_receivers_for("north")  # the next send runs in the call loop
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.send("north")
        assert [IndexError, ValueError] == contexts(caught.value)

    def test_an_error_is_never_its_own_context(self, signal, raising_log):
        """A log handler that raises the error does not make the error its own context."""
        signal.continue_on_error = True
        signal.send("north")
        signal.connect(fail)
        signal.has_receivers_for("north")  # the next send runs in the call loop
        with pytest.raises(ValueError, match="lamp out") as caught:
            signal.send("north")
        assert [] == contexts(caught.value)


class TestASubclass:
    @pytest.fixture
    def alarm(self):
        """Give a signal whose class sets ``continue_on_error``."""

        class Alarm(aldis.Signal):
            continue_on_error = True

        return Alarm()

    def send_twice(self, signal):
        """Send twice to a failing and a recording receiver, and return the recorded senders."""
        later = Recorder()
        signal.connect(fail)
        signal.connect(later)
        for _ in range(2):
            with pytest.raises(ValueError, match="lamp out"):
                signal.send("north")
        return later.senders

    def test_a_class_attribute_turns_it_on(self, alarm):
        """``continue_on_error`` of a class applies to all its signals."""
        assert ["north", "north"] == self.send_twice(alarm)

    def test_an_attribute_of_the_signal_overrides_the_class_until_it_is_deleted(self, alarm):
        """A signal uses its own attribute, and the attribute of its class after a deletion."""
        alarm.continue_on_error = False
        assert [] == self.send_twice(alarm)
        del alarm.continue_on_error
        assert ["north", "north"] == self.send_twice(alarm)


class TestTheOldName:
    def test_the_old_name_warns(self, signal):
        """``every_receiver_runs`` still works, with a DeprecationWarning."""
        with pytest.warns(DeprecationWarning, match="now called continue_on_error"):
            signal.every_receiver_runs = True
        assert signal.continue_on_error
        with pytest.warns(DeprecationWarning, match="now called continue_on_error"):
            assert signal.every_receiver_runs
        with pytest.warns(DeprecationWarning, match="now called continue_on_error"):
            del signal.every_receiver_runs
        assert not signal.continue_on_error

    def test_the_old_name_in_a_subclass_warns(self):
        """A subclass that sets the old attribute gets the new one."""
        with pytest.warns(DeprecationWarning, match="now called continue_on_error"):

            class Alarm(aldis.Signal):
                every_receiver_runs = True

        assert Alarm().continue_on_error

    def test_create_autospec_causes_no_warning(self, signal):
        """``create_autospec`` reads every attribute of a signal without a warning."""
        create_autospec(signal).send("north")
        create_autospec(aldis.Signal)


def test_a_signal_initialized_anew_by_a_receiver(signal):
    """The running send is not changed. After it, no receiver is connected."""
    others = []

    class Lamp:
        def light(self, sender):
            """Do nothing."""

    lamps = [Lamp()]
    signal.send("north")

    @signal.connect
    def start_anew(sender):
        signal.__init__()
        lamps.clear()
        others.extend(aldis.Signal() for _ in range(50))  # these reuse the released memory

    signal.connect(lamps[0].light)
    signal.has_receivers_for("north")  # the next send runs in the call loop
    assert [(start_anew, None)] == signal.send("north")
    assert [[]] * 51 == [each.send("north") for each in (signal, *others)]
