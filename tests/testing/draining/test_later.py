"""``drain(later=True)`` runs later deliveries without waiting."""

import pytest

from aldis.durable import Retry, RetryLater, current_delivery, durable
from aldis.testing import drain
from tests.durable.support import order_paid
from tests.testing.draining.sending import send

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestLater:
    def test_delays_and_backoffs_take_no_time(self, outbox, session, engine):
        """A delayed delivery and all attempts of a failing one run at once."""
        attempts = []

        @order_paid.connect
        @durable("billing.remind", delay=86_400, retry=Retry(attempts=5, first_delay=600))
        def remind(sender, **extra):
            attempts.append(current_delivery().attempt)
            if len(attempts) < 3:
                raise ConnectionError

        send(outbox, session, 7)
        assert 0 == drain(outbox).attempts
        ran = drain(outbox, later=True, raise_errors=False)

        assert (1, 2, [1, 2, 3]) == (ran.done, ran.failed, attempts)

    def test_goes_on_to_the_dead_letter(self, outbox, session):
        """A delivery that always fails becomes a dead letter."""

        @order_paid.connect
        @durable("billing.broken", retry=Retry(attempts=4))
        def broken(sender, **extra):
            raise ConnectionError

        send(outbox, session, 7)
        ran = drain(outbox, later=True, raise_errors=False)

        assert (4, 1) == (ran.failed, ran.dead)

    def test_keeps_the_order_of_times(self, outbox, session):
        """Deliveries run in the order of their due times."""
        heard = []
        for number, delay in enumerate([900, 30, 600]):

            @order_paid.connect
            @durable(f"billing.{number}", delay=delay)
            def remind(sender, *, delay=delay, **extra):
                heard.append(delay)

        send(outbox, session, 7)
        drain(outbox, later=True)
        assert [30, 600, 900] == heard

    def test_comes_to_an_end(self, outbox, session):
        """A receiver that always raises ``RetryLater`` ends ``drain`` with an error."""

        @order_paid.connect
        @durable("billing.busy")
        def busy(sender, **extra):
            raise RetryLater(seconds=60)

        send(outbox, session, 7)
        with pytest.raises(AssertionError, match=r"has raised RetryLater 100 times"):
            drain(outbox, later=True)

    def test_a_key_is_blocked_by_its_first(self, outbox, session):
        """A delivery that is blocked by its key runs after the failing one."""
        heard = []

        @order_paid.connect
        @durable("billing.books", key=lambda sender, order_id: sender)
        def enter(sender, *, order_id, **extra):
            heard.append(order_id)
            if heard == [7]:
                raise ConnectionError

        send(outbox, session, 7, 8)
        assert 1 == drain(outbox, raise_errors=False).attempts
        drain(outbox, later=True)
        assert [7, 7, 8] == heard
