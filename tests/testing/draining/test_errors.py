"""``drain`` and the errors of receivers."""

import pytest

from aldis.durable import GiveUp, Retry, RetryLater, durable
from aldis.testing import drain
from tests.durable.support import counts, order_paid, rows
from tests.testing.draining.sending import send

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestErrors:
    def test_are_raised_in_the_end(self, outbox, session, receipt):
        """``drain`` runs everything, then raises a group with a note on each error."""

        @order_paid.connect
        @durable("billing.broken", retry=Retry(attempts=2))
        def broken(sender, *, order_id, **extra):
            raise LookupError(order_id)

        send(outbox, session, 7, 8)
        with pytest.raises(ExceptionGroup, match="2 attempts at durable deliveries failed") as info:
            drain(outbox)

        assert [LookupError, LookupError] == [type(each) for each in info.value.exceptions]
        (note,) = info.value.exceptions[0].__notes__
        assert note.startswith("billing.broken: delivery ")
        assert note.endswith("of order_paid, attempt 1 of 2; it will be tried again")
        assert {"done": 2, "pending": 2} == counts(outbox)

    def test_a_failed_delivery_does_not_run_again(self, outbox, session):
        """A failed delivery waits for the longest possible time, so it does not run again."""

        @order_paid.connect
        @durable("billing.broken", retry=Retry(attempts=9, first_delay=60))
        def broken(sender, **extra):
            raise LookupError

        send(outbox, session, *range(30))
        assert 30 == drain(outbox, raise_errors=False).failed
        waits = [(row.due_at - row.created_at).total_seconds() for row in rows(outbox)]
        assert min(waits) >= 60

    def test_are_returned_on_request(self, outbox, session):
        """``raise_errors=False`` returns the errors."""

        @order_paid.connect
        @durable("billing.broken", retry=Retry(attempts=1))
        def broken(sender, *, order_id, **extra):
            raise LookupError(order_id)

        send(outbox, session, 7)
        ran = drain(outbox, raise_errors=False)

        assert (0, 1, 1, 1) == (ran.done, ran.failed, ran.dead, ran.attempts)
        assert ["LookupError(7)"] == [repr(each) for each in ran.errors]
        assert {"dead": 1} == counts(outbox)

    def test_giving_up_is_an_error(self, outbox, session):
        """``GiveUp`` makes a dead letter and is raised."""

        @order_paid.connect
        @durable("billing.broken")
        def broken(sender, **extra):
            raise GiveUp("the customer is gone")

        send(outbox, session, 7)
        with pytest.raises(ExceptionGroup, match="an attempt at durable deliveries failed") as info:
            drain(outbox)
        assert ["the customer is gone"] == [str(each) for each in info.value.exceptions]
        assert {"dead": 1} == counts(outbox)

    def test_retrying_later_is_not_an_error(self, outbox, session):
        """``RetryLater`` is not an error, and the delivery waits."""

        @order_paid.connect
        @durable("billing.busy")
        def busy(sender, **extra):
            raise RetryLater(seconds=60)

        send(outbox, session, 7)
        ran = drain(outbox)
        assert (0, 0, 1, []) == (ran.done, ran.failed, ran.later, ran.errors)
        assert {"pending": 1} == counts(outbox)

    def test_a_system_exit(self, outbox, session):
        """``sys.exit`` in a receiver is raised in the group."""

        @order_paid.connect
        @durable("billing.broken")
        def broken(sender, **extra):
            raise SystemExit(3)

        send(outbox, session, 7)
        with pytest.raises(BaseExceptionGroup) as info:
            drain(outbox)
        assert [SystemExit] == [type(each) for each in info.value.exceptions]


class TestInterrupted:
    def test_the_other_deliveries_stay(self, outbox, session):
        """If ``drain`` fails, its delivery is pending with all its attempts."""

        @order_paid.connect
        @durable("billing.busy")
        def busy(sender, **extra):
            raise RetryLater(seconds=0)

        send(outbox, session, 7)
        with pytest.raises(AssertionError):
            drain(outbox)
        (row,) = rows(outbox)
        assert ("PENDING", 0) == (row.state.name, row.attempts)
