"""Signals that call the remaining receivers after one raised."""

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
        raise KeyboardInterrupt  # noqa: B904 - the chain is what is looked at


class RaisingHandler(logging.Handler):
    """Raises every logged error, as tests of applications do."""

    def emit(self, record):
        """Raise it."""
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
    def test_a_worse_error_keeps_the_whole_chain(self, signal):
        """The context of a worse error has its own cause, and then the first error."""
        signal.continue_on_error = True
        signal.send("north")
        signal.connect(fail)
        signal.connect(interrupt)
        signal.has_receivers_for("north")  # from here on the call loop walks by itself
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.send("north")
        assert [IndexError, ValueError] == contexts(caught.value)

    def test_an_error_is_never_its_own_context(self, signal, raising_log):
        """A log handler that raises the error does not make the error its own context."""
        signal.continue_on_error = True
        signal.send("north")
        signal.connect(fail)
        signal.has_receivers_for("north")  # as above
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

    def test_can_ask_for_it(self, alarm):
        """A class attribute applies to all signals of the class."""
        assert ["north", "north"] == self.send_twice(alarm)

    def test_is_asked_again_when_its_signal_no_longer_says_otherwise(self, alarm):
        """A signal may differ from its class until its own attribute is deleted."""
        alarm.continue_on_error = False
        assert [] == self.send_twice(alarm)
        del alarm.continue_on_error
        assert ["north", "north"] == self.send_twice(alarm)


class TestTheOldName:
    def test_warns(self, signal):
        """``every_receiver_runs`` still works, with a DeprecationWarning."""
        with pytest.warns(DeprecationWarning, match="now called continue_on_error"):
            signal.every_receiver_runs = True
        assert signal.continue_on_error
        with pytest.warns(DeprecationWarning, match="now called continue_on_error"):
            assert signal.every_receiver_runs
        with pytest.warns(DeprecationWarning, match="now called continue_on_error"):
            del signal.every_receiver_runs
        assert not signal.continue_on_error

    def test_warns_in_a_subclass(self):
        """A subclass that sets the old attribute gets the new one."""
        with pytest.warns(DeprecationWarning, match="now called continue_on_error"):

            class Alarm(aldis.Signal):
                every_receiver_runs = True

        assert Alarm().continue_on_error

    def test_does_not_disturb_mock(self, signal):
        """``create_autospec`` reads every attribute of a signal without a warning."""
        create_autospec(signal).send("north")
        create_autospec(aldis.Signal)


def test_a_signal_initialized_anew_by_a_receiver(signal):
    """The current send continues as it began. Afterwards no receiver is connected."""
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
        others.extend(aldis.Signal() for _ in range(50))  # which take the memory that was let go

    signal.connect(lamps[0].light)
    signal.has_receivers_for("north")  # from here on the call loop walks by itself
    assert [(start_anew, None)] == signal.send("north")
    assert [[]] * 51 == [each.send("north") for each in (signal, *others)]
