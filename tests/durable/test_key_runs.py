"""A worker claims runs of an ordering key, and goes through each of them in order."""

import asyncio
import time
from collections import defaultdict
from random import Random
from threading import Event, Lock

import pytest
from sqlalchemy import create_engine

from aldis.durable import GiveUp, Outbox, Retry, RetryLater, current_delivery, durable
from aldis.durable.types import DeliveryFilter, State
from tests.durable.sql.databases import database
from tests.durable.support import create_tables, order_paid, outbox_on, rows, write, written
from tests.durable.working import is_settled, send, until, working

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("aldis_clean")]

KEYS = 5

#: Deliveries that a worker runs first, so that it knows how long the receiver takes.
WARM_UP = 2 * KEYS

QUICK = Retry(attempts=10, first_delay=0.01, max_delay=0.02)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.service),
        pytest.param("mariadb", marks=pytest.mark.service),
    ]
)
def outbox(request, tmp_path):
    """Give an outbox on each database."""
    with database(request.param, tmp_path) as url:
        engine = create_engine(url)
        create_tables(engine)
        yield Outbox(engine=engine)
        engine.dispose()


class Log:
    """Notes which deliveries of a key run, and checks that they do not overlap."""

    def __init__(self):
        self.done = defaultdict(list)
        self.started = defaultdict(list)
        self.running = set()
        self.overlaps = []
        self.lock = Lock()

    def begin(self, order_id):
        """Note that the receiver has started."""
        key = order_id % KEYS
        with self.lock:
            if key in self.running:
                self.overlaps.append(order_id)
            self.running.add(key)
            self.started[key].append(order_id)

    def end(self, order_id, *, done=True):
        """Note that the receiver has ended."""
        key = order_id % KEYS
        with self.lock:
            self.running.discard(key)
            if done:
                self.done[key].append(order_id)

    def is_in_order(self, count):
        """Return whether the orders below ``count`` were done once each, in the order of keys."""
        expected = {key: list(range(key, count, KEYS)) for key in range(KEYS)}
        return not self.overlaps and expected == dict(self.done)


def by_key(sender, order_id, **_):
    """Return the ordering key of an order."""
    return str(order_id % KEYS)


def run_until_settled(outbox, count, **options):
    """Send orders and run a worker until none of them waits."""
    with working(outbox, **options) as worker:
        send(outbox, *range(WARM_UP))
        until(lambda: is_settled(outbox))
        send(outbox, *range(WARM_UP, count))
        until(lambda: is_settled(outbox))
    return worker


@pytest.mark.parametrize("seed", range(3))
def test_failures_keep_the_order(outbox, seed):
    """Deliveries of a key run one after the other in their order, although some fail at first."""
    log, random = Log(), Random(seed)
    failures = {order_id: random.choice([0] * 9 + [1, 2]) for order_id in range(150)}

    @order_paid.connect
    @durable("test.receipt", key=by_key, retry=QUICK)
    def receipt(sender, *, order_id):
        log.begin(order_id)
        fails = failures[order_id] > 0
        failures[order_id] -= fails
        log.end(order_id, done=not fails)
        if fails:
            raise random.choice([OSError("no paper"), RetryLater(seconds=0.01)])

    run_until_settled(outbox, 150)
    assert log.is_in_order(150)


def test_async_receivers(outbox):
    """An async receiver gets the deliveries of a key in their order, too."""
    log = Log()

    @order_paid.connect
    @durable("test.receipt", key=by_key, retry=QUICK)
    async def receipt(sender, *, order_id):
        log.begin(order_id)
        await asyncio.sleep(0)
        fails = order_id % 7 == 3 and current_delivery().attempt == 1
        log.end(order_id, done=not fails)
        if fails:
            raise OSError("no paper")

    run_until_settled(outbox, 200)
    assert log.is_in_order(200)


def test_receivers_that_write_through_the_session(outbox):
    """The notes of each key are committed once and in their order."""

    @order_paid.connect
    @durable("test.receipt", key=by_key, retry=QUICK)
    def receipt(sender, *, order_id):
        write(current_delivery().session, f"{order_id}")
        if order_id % 7 == 3 and current_delivery().attempt == 1:
            raise OSError("no paper")

    run_until_settled(outbox, 150)
    found = [int(each) for each in written(outbox.engine)]
    assert all(
        list(range(key, 150, KEYS)) == [each for each in found if each % KEYS == key]
        for key in range(KEYS)
    )


def test_a_dead_letter_stops_its_run(outbox):
    """No delivery overtakes a dead letter, and those behind it run once it is discarded."""
    log = Log()

    @order_paid.connect
    @durable("test.receipt", key=by_key, retry=QUICK)
    def receipt(sender, *, order_id):
        log.begin(order_id)
        log.end(order_id, done=order_id != 50)
        if order_id == 50:
            raise GiveUp("no such lamp")

    with working(outbox):
        send(outbox, *range(WARM_UP))
        until(lambda: is_settled(outbox))
        send(outbox, *range(WARM_UP, 100))
        until(lambda: len(rows(outbox, State.DONE)) == 100 - 10)
        assert [*range(0, 50, KEYS)] == log.done[0]
        assert 9 == len(rows(outbox, State.BLOCKED, State.PENDING, State.QUARANTINED))
        assert 1 == sum(outbox.store.discard(DeliveryFilter(states=[State.DEAD])))
        until(lambda: is_settled(outbox))
    log.done[0].insert(10, 50)
    assert log.is_in_order(100)


def test_a_time_limit_stops_a_run(outbox):
    """After a delivery that exceeded its time limit, the next one of its key waits for it."""
    log = Log()
    slow = {60}

    @order_paid.connect
    @durable("test.receipt", key=by_key, retry=QUICK, timeout=0.3)
    def receipt(sender, *, order_id):
        log.begin(order_id)
        done = False
        try:
            while order_id in slow:
                time.sleep(0.01)
            done = True
        finally:
            slow.discard(order_id)
            log.end(order_id, done=done)

    run_until_settled(outbox, 100)
    assert log.is_in_order(100)


def test_a_stopped_worker_releases_the_rest_of_a_run(outbox):
    """A stopped worker starts no later delivery of a run, and another worker continues it."""
    log, started, proceed = Log(), Event(), Event()

    @order_paid.connect
    @durable("test.receipt", key=by_key)
    def receipt(sender, *, order_id):
        log.begin(order_id)
        if order_id == 20:
            started.set()
            proceed.wait(20)
        log.end(order_id)

    with working(outbox) as worker:
        send(outbox, *range(WARM_UP))
        until(lambda: is_settled(outbox))
        send(outbox, *range(WARM_UP, 100))
        assert started.wait(20)
        loop = worker._loop
        worker.stop()
        until(lambda: loop._threads.stopping)
        proceed.set()
        until(lambda: worker._loop is None)
    assert 20 == log.done[0][-1]
    assert not rows(outbox, State.RUNNING)
    with working(outbox):
        until(lambda: is_settled(outbox))
    assert log.is_in_order(100)
    assert {1} == {row.attempts for row in rows(outbox)}


def test_a_worker_that_lost_its_lease_starts_nothing(outbox):
    """Deliveries that a worker claimed in advance do not start once its lease has expired."""
    log, started, proceed = Log(), Event(), Event()

    @order_paid.connect
    @durable("test.receipt", key=by_key)
    def receipt(sender, *, order_id):
        log.begin(order_id)
        if order_id == 20 and not started.is_set():
            started.set()
            proceed.wait(20)
        log.end(order_id)

    with working(outbox, lease=2) as worker:
        send(outbox, *range(WARM_UP))
        until(lambda: is_settled(outbox))
        send(outbox, *range(WARM_UP, 100))
        assert started.wait(20)
        heartbeat = worker._loop._heartbeat
        until(lambda: len(rows(outbox, State.DONE)) >= 80)
        heartbeat._renew = lambda *_: False  # as if the process were frozen
        until(lambda: not heartbeat.holds(heartbeat._current or ""))
        with working(outbox_on(outbox.engine)):
            until(lambda: 20 in log.done[0] and is_settled(outbox))
        ended = [*log.started[0]]
        proceed.set()
        until(lambda: log.done[0].count(20) == 2)
    assert ended == log.started[0]
    log.done[0].remove(20)
    assert [*range(0, 100, KEYS)] == sorted(log.done[0])


def test_runs_are_claimed_at_once(outbox):
    """Of a fast receiver, a worker claims many deliveries of a key at a time."""
    claims = []

    @order_paid.connect
    @durable("test.receipt", key=by_key)
    def receipt(sender, **_): ...

    claim = outbox.store.claim

    def counting(*args, **options):
        claimed = claim(*args, **options)
        claims.append(len(claimed))
        return claimed

    outbox.store.claim = counting
    run_until_settled(outbox, 500)
    assert max(claims) > 2 * KEYS
