"""How fast, slow and hanging receivers share the worker's threads."""

import time
from threading import Event

import pytest
from sqlalchemy.orm import Session

from aldis.durable import durable
from aldis.durable.types import AttemptFailure, ClaimedDelivery, State
from aldis.durable.worker.attempt import AttemptResult
from aldis.durable.worker.inflight import Counts, InFlight
from aldis.durable.worker.runs import Job
from aldis.testing import MemoryStore
from tests.durable.support import counts, order_paid, receipt_sent, rows
from tests.durable.working import is_settled, send, until, working

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("aldis_clean")]


def send_receipts(outbox, *order_ids):
    """Send ``receipt_sent`` in one transaction."""
    with Session(outbox.engine) as session, outbox.using(session), session.begin():
        for order_id in order_ids:
            receipt_sent.send("harbour", order_id=order_id)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_long_queue_does_not_hold_up_another_receiver(outbox, concurrency):
    """A receiver that has never run begins although another one has a long queue."""
    ran = []

    @order_paid.connect
    @durable("shares.fast")
    def fast(sender, *, order_id):
        time.sleep(0.001)
        ran.append("fast")

    @receipt_sent.connect
    @durable("shares.slow")
    def slow(sender, *, order_id):
        ran.append("slow")
        time.sleep(0.3)

    send(outbox, *range(1500))
    with working(outbox, concurrency=concurrency):
        until(lambda: len(ran) > 300)  # so that it is known to be fast, and claimed ahead
        send_receipts(outbox, 1)
        until(lambda: "slow" in ran)
        before = ran.index("slow")
        until(lambda: is_settled(outbox))
    assert before < 1300


def test_a_slow_receiver_does_not_slow_a_fast_one(outbox):
    """Beside a slow receiver, a fast receiver's deliveries are still claimed ahead."""
    go_on, fast_ran, slow_ran = Event(), [], []

    @order_paid.connect
    @durable("shares.fast")
    def fast(sender, *, order_id):
        fast_ran.append(order_id)

    @receipt_sent.connect
    @durable("shares.slow")
    def slow(sender, *, order_id):
        slow_ran.append(order_id)
        if order_id == 1:
            time.sleep(1)  # from now on it is known
        else:
            go_on.wait(20)

    send_receipts(outbox, 1)
    try:
        with working(outbox, concurrency=2):
            until(lambda: {"done": 1} == counts(outbox))
            send_receipts(outbox, 2)
            until(lambda: slow_ran == [1, 2])
            send(outbox, *range(600))
            started = time.monotonic()
            until(lambda: len(fast_ran) == 600)
            seconds = time.monotonic() - started
            go_on.set()
    finally:
        go_on.set()
    assert seconds < 5


def test_deliveries_leave_a_blocked_thread(outbox):
    """Deliveries that wait in a thread behind a hanging one run in another thread."""
    go_on, ran = Event(), []

    @order_paid.connect
    @durable("shares.mostly_fast")
    def mostly_fast(sender, *, order_id):
        if order_id == 500:
            go_on.wait(20)
        ran.append(order_id)

    send(outbox, *range(400))
    try:
        with working(outbox, concurrency=2):
            until(lambda: len(ran) == 400)
            send(outbox, *range(500, 550))
            until(lambda: len(ran) == 449)
            assert 500 not in ran
            go_on.set()
            until(lambda: is_settled(outbox))
    finally:
        go_on.set()
    assert sorted(ran) == [*range(400), *range(500, 550)]


def test_a_stop_releases_queued_deliveries(outbox):
    """A worker that stops releases the deliveries that wait behind a running one."""
    go_on, ran = Event(), []

    @order_paid.connect
    @durable("shares.mostly_fast")
    def mostly_fast(sender, *, order_id):
        ran.append(order_id)
        if order_id == 500:
            go_on.wait(20)

    send(outbox, *range(400))
    try:
        with working(outbox, concurrency=1, grace=1) as worker:
            until(lambda: len(ran) == 400)
            send(outbox, *range(500, 520))
            until(lambda: 500 in ran)
    finally:
        go_on.set()
    assert worker.left_running == 1
    assert len(rows(outbox, State.PENDING)) == 20


def test_a_rescue_happens_while_nothing_is_due(outbox):
    """A worker rescues deliveries even if its next one is due much later."""
    ran = []

    @order_paid.connect
    @durable("shares.now")
    def soon(sender, *, order_id):
        ran.append(order_id)

    @receipt_sent.connect
    @durable("shares.later", delay=600)
    def later(sender, *, order_id):
        pass

    send(outbox, 1)
    send_receipts(outbox, 2)
    outbox.store.register_worker("a" * 32, "lost", 1.0)
    outbox.store.claim("a" * 32, "shares.now", 1, ordered=False)
    with working(outbox):
        until(lambda: ran == [1])
        until(lambda: counts(outbox) == {"pending": 1, "done": 1})


def test_a_late_report_does_not_end_the_next_attempt(outbox):
    """The late result of an interrupted attempt does not affect the next attempt."""

    @order_paid.connect
    @durable("shares.twice")
    def twice(sender, *, order_id):
        pass

    claimed = ClaimedDelivery(1, "e", "shares.twice", "s", "", None, None, None, 1, 0, "w")
    first, second = Job(claimed, twice), Job(claimed, twice)
    in_flight = InFlight(MemoryStore(), Counts(), concurrency=1)
    in_flight.track([first], None)
    in_flight.process(AttemptResult(first, AttemptFailure("too slow", retry_in=0.0)))
    in_flight.track([second], None)

    in_flight.results.append(AttemptResult(first))
    in_flight.flush(everything=True)

    assert {1: second} == in_flight.jobs
    assert [] == in_flight.completed
