"""Receivers that exceed their time limit are interrupted at every possible instant."""

import random
import sys
import time

import pytest

from aldis.durable import Retry, current_delivery, durable
from aldis.errors import TimeLimitError
from tests.durable.support import counts, order_paid, rows, write, written
from tests.durable.working import is_settled, run_all, send, until, working
from tests.sizes import sized

pytestmark = pytest.mark.usefixtures("aldis_clean")

#: How many are interrupted: on a busy machine most of them several times.
COUNT = sized(20, 200)


@pytest.mark.skipif(
    sys.gettrace() is not None,  # which takes locks that an interrupt leaves locked
    reason="a tracer's own code would be interrupted, too",
)
def test_a_delivery_that_ends_at_its_limit_is_recorded_once(outbox):
    """A delivery that ends while it is interrupted is neither lost nor done twice."""
    often = Retry(attempts=100, first_delay=0.0, max_delay=0.0)

    @order_paid.connect
    @durable("interrupts.nearly", timeout=0.01, retry=often)
    def nearly(sender, *, order_id):
        write(current_delivery().session, str(order_id))
        end = time.perf_counter() + random.choice([0.001, 0.0095, 0.0099, 0.01, 0.0101])
        while time.perf_counter() < end:
            pass

    send(outbox, *range(COUNT))
    with working(outbox) as worker:
        until(lambda: is_settled(outbox))
    assert worker.left_running == 0
    assert counts(outbox) == {"done": COUNT}
    assert sorted(written(outbox.engine), key=int) == [str(number) for number in range(COUNT)]


@pytest.mark.parametrize("limit", [None, 5.0])
def test_the_error_of_a_limit_that_a_receiver_raises_itself_is_its_failure(outbox, limit):
    """A TimeLimitError of the receiver itself is an ordinary failure."""

    @order_paid.connect
    @durable("interrupts.itself", timeout=limit, retry=Retry(attempts=1))
    def itself(sender, *, order_id):
        raise TimeLimitError("of something inside")

    send(outbox, *range(5))
    run_all(outbox, concurrency=1)
    assert counts(outbox) == {"dead": 5}
    assert {row.reason for row in rows(outbox)} == {"TimeLimitError: of something inside"}
