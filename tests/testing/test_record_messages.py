"""The messages of failed assertions about a recording."""

from textwrap import dedent

import pytest

import aldis
from aldis.testing import record
from tests.testing.test_record import KIOSK, MARKET, Branch


@pytest.fixture
def paid():
    """Give a signal."""
    return aldis.NamedSignal("order-paid")


def message(check, *arguments, **options):
    """Return the message of a failed assertion."""
    with pytest.raises(AssertionError) as raised:
        check(*arguments, **options)
    return str(raised.value)


def text(lines):
    """Return the message as a test writes it."""
    return dedent(lines).strip()


class TestHowOften:
    def test_not_sent(self, paid):
        """The message explains that nothing was sent."""
        with record(paid) as sent:
            pass
        assert "order-paid was expected once, but was not sent" == message(sent.once)
        assert "order-paid was expected 3 times, but was not sent" == message(sent.times, 3)

    def test_sent_too_often(self, paid):
        """Each send is shown with its sender and arguments."""
        with record(paid) as sent:
            paid.send(MARKET, order_id=7, note="urgent")
            paid.send(None)
        assert text("""
            order-paid was expected once, but was sent 2 times:
              1. from <Branch 'Market'> with order_id=7, note='urgent'
              2. from None with no arguments
        """) == message(sent.once)

    def test_sent_although_never_expected(self, paid):
        """The message shows the unexpected send."""
        with record(paid) as sent:
            paid.send(MARKET, order_id=7)
        assert text("""
            order-paid was expected never, but was sent once:
              1. from <Branch 'Market'> with order_id=7
        """) == message(sent.never)

    def test_sent_by_others_only(self, paid):
        """The message shows the sends of other senders."""
        with record(paid, sender=MARKET) as sent:
            paid.send(KIOSK, order_id=7)
        assert text("""
            order-paid from <Branch 'Market'> was expected once, but was sent by others only:
              1. from <Branch 'Kiosk'> with order_id=7
        """) == message(sent.once)

    def test_very_many(self, paid):
        """A long list is cut, with the number of the other sends."""
        with record(paid) as sent:
            for number in range(12):
                paid.send(number)
        lines = message(sent.never).splitlines()
        assert 1 + 10 + 1 == len(lines)
        assert "  and 2 more" == lines[-1]


class TestWith:
    def test_each_difference_is_named(self, paid):
        """The message names each sender and argument that differs, or is missing or unexpected."""
        with record(paid) as sent:
            paid.send(KIOSK, order_id=7, total=3, note="")
        assert text("""
            order-paid was sent once, but not as expected:
              sender: expected <Branch 'Market'>, sent by <Branch 'Kiosk'>
              order_id: expected 8, sent 7
              discount: expected 0.5, not sent
              note: not expected, sent ''
        """) == message(sent.once_with, MARKET, order_id=8, total=3, discount=0.5)

    def test_two_of_the_same_look(self, paid):
        """The message explains that objects with the same repr are different objects."""
        with record(paid) as sent:
            paid.send(MARKET, branch=Lookalike("x"))
        assert text("""
            order-paid was sent once, but not as expected:
              sender: expected <Branch 'Market'>, sent by another <Branch 'Market'>
              branch: expected a twin, sent another Lookalike that looks the same
        """) == message(sent.once_with, Branch("Market"), branch=Lookalike("x"))

    def test_none_among_several(self, paid):
        """The message shows the expected send above the recorded sends, in the same form."""
        with record(paid) as sent:
            paid.send(MARKET, order_id=7)
            paid.send(MARKET, order_id=9)
        assert text("""
            order-paid was expected from <Branch 'Market'> with order_id=8, but was sent 2 times:
              1. from <Branch 'Market'> with order_id=7
              2. from <Branch 'Market'> with order_id=9
        """) == message(sent.at_least_once_with, MARKET, order_id=8)

    def test_values_that_are_long_or_cannot_be_shown(self, paid):
        """A long value is cut. An error in a repr does not hide the failure."""
        with record(paid) as sent:
            paid.send(MARKET, long="x" * 1000, broken=Broken())
        line = message(sent.never).splitlines()[1]
        assert line.endswith("broken=<a Broken whose repr raises>")
        assert f"long='{'x' * 116}..., " in line


class TestOrder:
    def test_another_order(self, paid):
        """The message shows the expected order and the recorded sends, with signal names."""
        changed = aldis.NamedSignal("stock-changed")
        with record(paid, changed) as sent:
            changed.send(MARKET, left=3)
            paid.send(MARKET)
        assert text("""
            expected in this order: order-paid, stock-changed; sent:
              1. stock-changed from <Branch 'Market'> with left=3
              2. order-paid from <Branch 'Market'> with no arguments
        """) == message(sent.in_order, paid, changed)
        assert message(sent.in_order).startswith("expected in this order: nothing; sent:")
        with record(paid) as sent:
            pass
        assert text("""
            expected in this order: order-paid; sent:
              nothing
        """) == message(sent.in_order, paid)

    def test_signals_without_a_name(self):
        """A signal without a name is shown as an anonymous signal."""
        lamp = aldis.Signal()
        with record(lamp) as sent:
            pass
        assert "a signal without a name was expected once, but was not sent" == message(sent.once)


class Lookalike:
    """Has the same repr as another object that is not equal."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return "a twin"


class Broken:
    """Raises in its repr."""

    def __repr__(self):
        raise RuntimeError
