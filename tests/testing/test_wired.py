"""``assert_wired``: the connections that it accepts, and its messages."""

import re
from functools import wraps

import pytest

import aldis
from aldis.receivers import robust
from aldis.testing import assert_wired
from tests.core.support import line_of


class Branch:
    """A sender whose methods are receivers."""

    def __init__(self, name):
        self.name = name

    def restock(self, sender, **extra):
        """Receive."""


MARKET, KIOSK = Branch("Market"), Branch("Kiosk")


def audit(sender, **extra):
    """Receive."""


def restock(sender, **extra):
    """Receive."""


@robust
def analyse(sender, **extra):
    """Receive."""


@pytest.fixture
def paid():
    """Give a signal."""
    return aldis.Namespace().signal("order-paid")


def message(*arguments):
    """Return the lines that assert_wired fails with."""
    with pytest.raises(AssertionError) as raised:
        assert_wired(*arguments)
    return str(raised.value).splitlines()


class TestHolds:
    def test_for_every_sender(self, paid):
        """A receiver for every sender is wired for each sender."""
        paid.connect(audit)
        assert_wired(paid, audit)
        assert_wired(paid, audit, MARKET)

    def test_for_one_sender(self, paid):
        """A receiver for one sender is wired for that sender."""
        paid.connect(audit, MARKET)
        assert_wired(paid, audit, MARKET)

    def test_for_methods(self, paid):
        """A bound method is the same receiver each time it is looked up."""
        paid.connect(MARKET.restock)
        assert_wired(paid, MARKET.restock)

    def test_for_receivers_with_a_delivery(self, paid):
        """A receiver with a delivery mode is found by its decorated function."""
        paid.connect(analyse)
        assert_wired(paid, analyse)

    def test_while_muted(self, paid):
        """A receiver of a muted signal is wired."""
        paid.connect(audit)
        with paid.muted():
            assert_wired(paid, audit)


class TestFails:
    def test_without_a_receiver(self, paid):
        """The message suggests that the module that connects was not imported."""
        assert [
            f"audit ({line_of(audit)}) is not called by order-paid, sent by any sender",
            "no receiver is connected; has the module that connects it been imported?",
        ] == message(paid, audit)

    def test_for_another_sender(self, paid):
        """A receiver for one sender is not wired for another."""
        paid.connect(audit, KIOSK)
        assert [
            f"audit ({line_of(audit)}) is not called by order-paid, sent by <Branch 'Market'>",
            "it is connected, but for another sender",
            "connected receivers, the most similar first:",
            f"  audit ({line_of(audit)}) for <Branch 'Kiosk'>: it listens to <Branch 'Kiosk'> only",
        ] == message(paid, audit, MARKET)

    def test_for_one_sender_instead_of_all(self, paid):
        """Without a sender, the receiver must be connected for all senders."""
        paid.connect(audit, KIOSK)
        assert [
            "it is connected, but for another sender",
            "connected receivers, the most similar first:",
            f"  audit ({line_of(audit)}) for <Branch 'Kiosk'>: it listens to <Branch 'Kiosk'> only",
        ] == message(paid, audit)[1:]

    def test_the_closest_name_comes_first(self, paid):
        """The message lists five connected receivers, the closest name first."""

        def restocked(sender):
            pass

        for receiver in (audit, analyse, restocked, KIOSK.restock):
            paid.connect(receiver)
        others = [lambda sender: None for _ in range(3)]
        for other in others:
            paid.connect(other)
        lines = message(paid, restock)
        names = [re.match(r"  \S*?([a-z]+) \(", line).group(1) for line in lines[2:5]]
        assert {"restock", "restocked"} == set(names[:2])
        assert "  and 2 more" == lines[-1]

    def test_another_object_of_the_same_name(self, paid):
        """The method of another instance is not the same receiver."""
        paid.connect(KIOSK.restock)
        assert (
            "another object with this name and place is connected: the method of another instance, "
            "or its module was imported twice"
        ) == message(paid, MARKET.restock)[1]

    def test_what_is_wrapped(self, paid):
        """The function inside a decorator is not the connected receiver."""

        @wraps(audit)
        def wrapper(sender, **extra):
            return audit(sender, **extra)

        paid.connect(wrapper)
        assert (
            f"it is connected inside of {wrapper!r}: pass that receiver" == message(paid, audit)[1]
        )
        paid.disconnect(wrapper)
        paid.connect(analyse)
        line = message(paid, analyse.__wrapped__)[1]
        assert "it is connected inside of <robust analyse>: pass that receiver" == line

    def test_what_wraps_itself(self, paid):
        """A circle of ``__wrapped__`` does not hang the test."""

        def circle(sender):
            pass

        circle.__wrapped__ = circle
        paid.connect(circle)
        assert "connected receivers, the most similar first:" == message(paid, audit)[1]

    def test_another_signal(self, paid):
        """The message names the other signal to which the receiver is connected."""
        payed = aldis.Namespace()
        payed.signal("order-payed").connect(audit)
        assert "it is connected to order-payed" == message(paid, audit)[1]
        payed.find("order-payed").disconnect(audit)

    def test_a_signal_without_a_name(self):
        """The message names an anonymous signal."""
        line = message(aldis.Signal(), audit)[0]
        assert line.endswith("is not called by a signal without a name, sent by any sender")
