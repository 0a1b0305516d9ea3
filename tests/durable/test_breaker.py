"""The circuit breaker: an outage of a receiver does not cost every delivery its attempts."""

import threading
import time

import pytest
from sqlalchemy import create_engine, text

from aldis.durable import Breaker, GiveUp, Retry, RetryLater, Worker, durable
from aldis.durable.signals import receiver_paused, receiver_resumed
from aldis.durable.types import State
from tests.durable import support
from tests.durable.sql import databases
from tests.durable.support import order_paid, rows
from tests.durable.working import is_settled, run_all, send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")

#: Pauses after three failures, and tries again soon.
QUICK = Breaker(failures=3, first_pause=0.2, max_pause=0.4)

#: Pauses after three failures, for the rest of the test.
LONG = Breaker(failures=3, first_pause=600, max_pause=600)


class Outage:
    """A durable receiver that fails as long as ``error`` is set."""

    def __init__(self, breaker, retry=None, name="test.mail", **options):
        self.calls = []
        self.running = self.most = 0
        self.error = ConnectionError("no mail server")
        self._lock = threading.Lock()

        @order_paid.connect
        @durable(name, breaker=breaker, retry=retry or Retry(first_delay=0.01), **options)
        def mail(sender, *, order_id):
            with self._lock:
                self.calls.append(order_id)
                self.running += 1
                self.most = max(self.most, self.running)
            try:
                time.sleep(0.005)
                if self.error is not None:
                    raise self.error
            finally:
                with self._lock:
                    self.running -= 1

        self.receiver = mail


def attempts(outbox):
    """Return how many attempts all deliveries together have used."""
    return sum(row.attempts for row in rows(outbox))


def breaker(outbox):
    """Return the only pause."""
    found = outbox.store.breakers()
    return found[0] if found else None


class TestOneWorker:
    @pytest.mark.parametrize("kind", databases.DATABASES)
    def test_keeps_the_attempts_and_recovers(self, kind, tmp_path, caplog):
        """In an outage, few deliveries lose an attempt; afterwards, all are delivered."""
        sent = []
        paused = receiver_paused.connect(
            lambda sender, **more: sent.append((sender, more)), weak=False
        )
        resumed = receiver_resumed.connect(lambda sender: sent.append(sender), weak=False)
        try:
            with databases.engine_on(kind, tmp_path) as engine:
                support.create_tables(engine)
                outbox = support.outbox_on(engine)
                outage = Outage(QUICK)
                send(outbox, *range(100))
                with working(outbox, concurrency=4):
                    until(lambda: breaker(outbox))
                    until(lambda: breaker(outbox).trials >= 2)
                    assert attempts(outbox) <= 3 + 3 + breaker(outbox).trials + 1
                    (stats,) = outbox.store.stats()
                    assert stats.paused
                    assert (3, "ConnectionError: no mail server") == (
                        stats.breaker.failures,
                        stats.breaker.reason,
                    )
                    outage.error = None
                    until(lambda: is_settled(outbox))
                assert 100 == len(rows(outbox, State.DONE))
                assert [] == outbox.store.breakers()
        finally:
            receiver_paused.disconnect(paused)
            receiver_resumed.disconnect(resumed)
        (name, facts), last = sent
        assert ("test.mail", "test.mail", 3) == (name, last, facts["failures"])
        assert {"failures", "reason", "trial_in"} == set(facts)
        assert any(
            "is paused, because it failed 3 times in a row" in each for each in caplog.messages
        )
        assert any("works again" in each for each in caplog.messages)

    def test_delivers_of_other_receivers(self, outbox, receipt):
        """Only the failing receiver is paused."""
        Outage(LONG)
        send(outbox, *range(20))
        with working(outbox):
            until(lambda: breaker(outbox))
            until(lambda: len(rows(outbox, State.DONE)) == 20)
        assert {receipt.name} == {row.receiver for row in rows(outbox, State.DONE)}

    def test_keeps_deliveries_with_one_attempt(self, outbox):
        """Without retries, few deliveries become dead letters."""
        outage = Outage(QUICK, retry=Retry(attempts=1))
        send(outbox, *range(50))
        with working(outbox):
            until(lambda: breaker(outbox))
            outage.error = None
            until(lambda: is_settled(outbox))
        assert len(rows(outbox, State.DEAD)) <= 10
        assert 50 == len(rows(outbox, State.DEAD, State.DONE))

    def test_can_be_switched_off(self, outbox):
        """With ``breaker=None``, the workers never pause the receiver."""
        Outage(None, retry=Retry(attempts=1))
        send(outbox, *range(30))
        run_all(outbox)
        assert 30 == len(rows(outbox, State.DEAD))

    def test_counts_failures_in_a_row(self, outbox):
        """A success, or another type of error, begins the count again."""
        kinds = [ConnectionError, ConnectionError, KeyError, KeyError, None] * 6

        @order_paid.connect
        @durable("test.mixed", breaker=LONG, retry=Retry(attempts=1))
        def mixed(sender, *, order_id):
            if kinds[order_id]:
                raise kinds[order_id](order_id)

        send(outbox, *range(30))
        run_all(outbox, concurrency=1)
        assert [] == outbox.store.breakers()
        assert 6 == len(rows(outbox, State.DONE))

    @pytest.mark.parametrize("error", [GiveUp("no such order"), RetryLater(seconds=600)])
    def test_ignores_errors_about_one_delivery(self, outbox, error):
        """A receiver that decides about its delivery is not failing."""
        outage = Outage(LONG)
        outage.error = error
        send(outbox, *range(12))
        with working(outbox):
            until(lambda: len(outage.calls) == 12)
        assert [] == outbox.store.breakers()

    def test_async_receivers(self, outbox):
        """The deliveries of an async receiver keep their attempts, too."""
        calls = []

        @order_paid.connect
        @durable("test.mail", breaker=LONG)
        async def mail(sender, *, order_id):
            calls.append(order_id)
            raise ConnectionError

        send(outbox, *range(50))
        with working(outbox):
            until(lambda: breaker(outbox))
            until(lambda: not rows(outbox, State.RUNNING))
        assert len(calls) <= 7

    def test_deliveries_with_a_key(self, outbox):
        """The order of a key is kept over a pause."""
        outage = Outage(QUICK, key=lambda sender, order_id: order_id % 2)
        send(outbox, *range(20))
        with working(outbox):
            until(lambda: breaker(outbox))
            outage.error, outage.calls = None, []
            until(lambda: is_settled(outbox))
        for parity in (0, 1):
            mine = [each for each in outage.calls if each % 2 == parity]
            assert mine[-10:] == list(range(parity, 20, 2))

    def test_worker_drain_ends(self, outbox):
        """``Worker.drain`` ends when a receiver is paused, and a later one tries it again."""
        outage = Outage(QUICK, retry=Retry(first_delay=600))
        send(outbox, *range(50))
        assert Worker(outbox).drain() <= 60
        assert attempts(outbox) <= 7
        outage.error = None
        until(lambda: Worker(outbox).drain() == 0 and not outbox.store.breakers())
        assert len(rows(outbox, State.DONE)) >= 43


class TestSeveralWorkers:
    @pytest.mark.parametrize("kind", databases.DATABASES)
    def test_try_one_delivery_at_a_time(self, kind, tmp_path):
        """Together, the workers of a database run one trial at a time."""
        with databases.engine_on(kind, tmp_path) as engine:
            support.create_tables(engine)
            outbox = support.outbox_on(engine)
            outage = Outage(QUICK)
            send(outbox, *range(100))
            other = create_engine(engine.url)
            with (
                working(outbox, concurrency=2),
                working(support.outbox_on(other), concurrency=2),
            ):
                until(lambda: breaker(outbox))
                until(lambda: outage.running == 0 and not rows(outbox, State.RUNNING))
                outage.most, outage.calls = 0, []
                until(lambda: breaker(outbox).trials >= 3)
                assert 1 == outage.most
                assert len(outage.calls) <= breaker(outbox).trials + 1
                outage.error = None
                until(lambda: is_settled(outbox))
            other.dispose()
            assert 100 == len(rows(outbox, State.DONE))

    def test_a_worker_takes_over_the_trials_of_a_lost_one(self, outbox, engine):
        """If the worker of a trial dies, another one begins a trial once its lease has run out."""
        outage = Outage(QUICK)
        outage.error = None
        send(outbox, 7)
        store = outbox.store
        store.register_worker("a" * 32, "lost", 600)
        store.open_breaker("test.mail", 3, "ConnectionError", 0.0)
        assert store.begin_trial("a" * 32, "test.mail", 0.0)
        assert 1 == len(store.claim("a" * 32, "test.mail", 1, ordered=False))
        store.register_worker("b" * 32, "other", 600)
        assert not store.begin_trial("b" * 32, "test.mail", 0.0)
        with engine.begin() as connection:
            connection.execute(text("UPDATE aldis_workers SET expires_at = 1 WHERE name = 'lost'"))
        run_all(outbox)
        assert [7] == outage.calls
        assert [] == store.breakers()


class TestOperators:
    def test_resume(self, outbox):
        """An operator ends a pause at once, and the workers go on without a delay."""
        outage = Outage(LONG)
        send(outbox, *range(20))
        with working(outbox):
            until(lambda: breaker(outbox))
            outage.error = None
            assert outbox.store.resume("test.mail")
            until(lambda: is_settled(outbox))

    def test_pause(self, outbox):
        """A pause by an operator replaces one by the workers, which then try nothing."""
        outage = Outage(QUICK)
        send(outbox, *range(20))
        with working(outbox):
            until(lambda: breaker(outbox))
            assert outbox.store.pause("test.mail")
            assert not outbox.store.pause("test.mail")
            until(lambda: not rows(outbox, State.RUNNING))
            before = len(outage.calls)
            time.sleep(0.6)
            assert before == len(outage.calls)
            (stats,) = outbox.store.stats()
            assert (True, None) == (stats.paused, stats.breaker)


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"failures": 0}, ValueError, "failures must be at least 1, not 0"),
            ({"failures": 2.5}, TypeError, "failures must be a whole number, such as 10, not 2.5"),
            ({"failures": True}, TypeError, "failures must be a whole number"),
            ({"first_pause": -1}, ValueError, "-1"),
            ({"first_pause": 9, "max_pause": 3}, ValueError, "max_pause must be at least"),
        ],
    )
    def test_a_breaker_refuses(self, options, error, message):
        """Values out of range are refused where the breaker is made."""
        with pytest.raises(error, match=message):
            Breaker(**options)

    def test_durable_refuses(self):
        """``breaker=`` is a Breaker or None."""
        with pytest.raises(TypeError, match="breaker= must be a Breaker"):
            durable("test.mail", breaker=10)
