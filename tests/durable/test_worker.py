"""One worker: deliveries that succeed, fail, wait or have a key."""

import asyncio
import logging
import os
import signal
import sys
import time
from threading import Timer

import pytest

from aldis.durable import (
    GiveUp,
    Outbox,
    Retry,
    RetryLater,
    Worker,
    current_delivery,
    durable,
)
from aldis.durable.receiver import forget_receiver
from aldis.durable.types import DeliveryFilter, State
from aldis.errors import UnknownNameError
from tests.durable import support
from tests.durable.sql import databases
from tests.durable.support import counts, order_paid, rows, write, written
from tests.durable.working import SOON, run_all, send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestDelivery:
    @pytest.mark.parametrize("kind", ["sqlite", *databases.SERVER_KINDS])
    def test_calls_the_receiver_and_completes(self, kind, tmp_path):
        """The receiver gets the sender and the payload, and its write is committed."""
        with databases.engine_on(kind, tmp_path) as engine:
            support.create_tables(engine)
            outbox = Outbox(engine=engine)

            @order_paid.connect
            @durable("test.receipt", retry=SOON)
            def receipt(sender, *, order_id):
                write(current_delivery().session, f"{sender} {order_id}")
                if current_delivery().attempt == 1 and order_id == 8:
                    raise ConnectionError

            @order_paid.connect
            @durable("test.count")
            async def count(sender, **extra):
                await asyncio.sleep(0)

            send(outbox, 7, 8)
            worker = run_all(outbox)

            assert {"harbour 7", "harbour 8"} == set(written(engine))
            assert 2 == len(written(engine))
            assert {"done": 4} == counts(outbox)
            assert (4, 1) == (worker.done, worker.failed)

    def test_takes_what_comes_while_it_runs(self, outbox, engine):
        """A commit wakes a waiting worker."""
        received = []

        @order_paid.connect
        @durable("test.receipt")
        def receipt(sender, *, order_id):
            received.append(order_id)

        with working(outbox):
            send(outbox, 7)
            until(lambda: received == [7])
            send(outbox, 8)
            until(lambda: received == [7, 8])

    def test_a_delay(self, outbox):
        """A delayed delivery does not run before its time."""
        ran = []

        @order_paid.connect
        @durable("test.remind", delay=0.4)
        def remind(sender, **extra):
            ran.append(time.monotonic())

        sent = time.monotonic()
        send(outbox, 7)
        run_all(outbox)
        assert ran[0] - sent >= 0.4

    def test_only_some_receivers(self, outbox):
        """A worker can serve some receivers only, chosen by name."""
        for name in "ab":
            order_paid.connect(durable(f"test.{name}")(lambda sender, **extra: None))
        send(outbox, 7)
        with working(outbox, receivers=["test.a"]):
            until(lambda: counts(outbox).get("done"))
        assert {"pending": 1, "done": 1} == counts(outbox)
        with pytest.raises(UnknownNameError, match=r"unknown durable receiver 'test.c'; did"):
            Worker(outbox, receivers=["test.c"]).run()

    def test_an_alias(self, outbox):
        """A receiver runs the deliveries that were recorded under its alias."""
        received = []
        old = order_paid.connect(durable("test.mail")(lambda sender, **extra: None))
        send(outbox, 7)
        order_paid.disconnect(old)
        forget_receiver(old)

        @order_paid.connect
        @durable("test.receipt", aliases=["test.mail"])
        def receipt(sender, *, order_id):
            received.append((order_id, current_delivery().receiver))

        run_all(outbox)
        assert [(7, "test.mail")] == received

    def test_pause_and_resume(self, outbox):
        """The deliveries of a paused receiver wait; those of other receivers run."""
        received = []
        for name in "ab":

            @order_paid.connect
            @durable(f"test.{name}")
            def receive(sender, *, order_id, name=name):
                received.append((name, order_id))

        with working(outbox):
            outbox.store.pause("test.a")
            send(outbox, 7)
            until(lambda: ("b", 7) in received)
            time.sleep(0.2)
            assert [("b", 7)] == received
            outbox.store.resume("test.a")
            until(lambda: ("a", 7) in received)

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")
    def test_a_signal_handler_can_stop_it(self, outbox, receipt):
        """A signal handler can stop a worker that runs in the main thread."""
        worker = Worker(outbox)
        before = signal.signal(signal.SIGUSR1, lambda *_: worker.stop())
        timer = Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        try:
            started = time.monotonic()
            worker.run()
        finally:
            timer.join()
            signal.signal(signal.SIGUSR1, before)
        assert time.monotonic() - started < 15

    def test_drain(self, outbox):
        """``Worker.drain`` runs the due deliveries and returns the number of attempts."""
        attempts = []

        @order_paid.connect
        @durable("test.broken", retry=Retry(attempts=2, first_delay=3600))
        def broken(sender, *, order_id):
            attempts.append(order_id)
            raise ConnectionError

        @order_paid.connect
        @durable("test.receipt")
        def receipt(sender, **extra): ...

        send(outbox, 1, 2, 3)
        started = time.monotonic()
        assert 6 == Worker(outbox).drain()
        assert [1, 2, 3] == sorted(attempts)
        assert time.monotonic() - started < 10


class TestFailure:
    def test_is_tried_again(self, outbox, engine, caplog):
        """A failed attempt is rolled back, logged and retried, and the effect happens once."""

        @order_paid.connect
        @durable("test.receipt", retry=SOON)
        def receipt(sender, *, order_id):
            delivery = current_delivery()
            write(delivery.session, f"attempt {delivery.attempt}")
            if delivery.attempt < 3:
                raise ConnectionError("no mail server")

        send(outbox, 7)
        with caplog.at_level(logging.WARNING, "aldis"):
            run_all(outbox)

        assert ["attempt 3"] == written(engine)
        (row,) = rows(outbox)
        assert (State.DONE, 3) == (row.state, row.attempts)
        assert [1, 2] == [
            int(each.message.split("failed at attempt ")[1][0]) for each in caplog.records
        ]
        assert "next in 0.0 s: ConnectionError: no mail server" in caplog.messages[0]

    def test_waits_before_that(self, outbox):
        """The next attempt is due after a random wait below the longest one."""

        @order_paid.connect
        @durable("test.broken", retry=Retry(attempts=2, first_delay=3600), breaker=None)
        def broken(sender, **extra):
            raise ConnectionError

        send(outbox, *range(20))
        with working(outbox):
            until(lambda: all(row.attempts for row in rows(outbox)))
            until(lambda: not rows(outbox, State.RUNNING))
        waits = [(row.due_at - row.created_at).total_seconds() for row in rows(outbox)]
        assert max(waits) <= 3620
        assert len(set(waits)) > 10
        assert max(waits) - min(waits) > 60

    def test_a_dead_letter_after_the_last(self, outbox, caplog):
        """A dead letter keeps traceback, payload and attempts, and is logged as an error."""

        @order_paid.connect
        @durable("test.broken", retry=SOON)
        def broken(sender, **extra):
            raise LookupError("no such customer")

        send(outbox, 7)
        run_all(outbox)

        (row,) = rows(outbox)
        assert (State.DEAD, 3) == (row.state, row.attempts)
        assert "LookupError: no such customer" == row.reason
        assert 'raise LookupError("no such customer")' in row.traceback
        assert '"order_id":7' in row.payload
        (error,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert "(test.broken) is a dead letter after attempt 3: LookupError" in error.message

    def test_a_dead_letter_that_is_replayed(self, outbox):
        """A replayed dead letter has all its attempts again."""
        received = []

        @order_paid.connect
        @durable("test.receipt", retry=Retry(attempts=1))
        def receipt(sender, **extra):
            received.append(current_delivery().attempt)
            if len(received) == 1:
                raise ConnectionError

        send(outbox, 7)
        run_all(outbox)
        assert {"dead": 1} == counts(outbox)
        assert [1] == list(outbox.store.replay(DeliveryFilter(receiver="test.receipt")))
        run_all(outbox)
        assert ({"done": 1}, [1, 1]) == (counts(outbox), received)

    def test_give_up(self, outbox):
        """``GiveUp`` makes a dead letter at the first attempt, with its reason."""

        @order_paid.connect
        @durable("test.broken")
        def broken(sender, **extra):
            raise GiveUp("the customer is gone")

        send(outbox, 7)
        run_all(outbox)
        (row,) = rows(outbox)
        assert (State.DEAD, "gave up: the customer is gone") == (row.state, row.reason)

    def test_retry_later(self, outbox, caplog):
        """``RetryLater`` does not count as an attempt and logs no error."""
        received = []

        @order_paid.connect
        @durable("test.busy", retry=Retry(attempts=1))
        def busy(sender, **extra):
            received.append(current_delivery().attempt)
            if len(received) < 4:
                raise RetryLater("closed on Sundays", seconds=0.01)

        send(outbox, 7)
        worker = run_all(outbox)
        assert ([1, 1, 1, 1], {"done": 1}) == (received, counts(outbox))
        assert (1, 0, []) == (worker.done, worker.failed, caplog.records)

    def test_exit(self, outbox):
        """A receiver that calls ``sys.exit`` does not end the worker."""
        received = []

        @order_paid.connect
        @durable("test.leave", retry=Retry(attempts=1))
        def leave(sender, *, order_id):
            received.append(order_id)
            sys.exit(3)

        send(outbox, 7, 8)
        run_all(outbox)
        assert [7, 8] == sorted(received)
        assert ["SystemExit: 3"] * 2 == [row.reason for row in rows(outbox)]

    def test_something_awaited_was_cancelled(self, outbox):
        """If an async receiver awaits a cancelled task, the attempt has failed."""

        @order_paid.connect
        @durable("test.wait", retry=Retry(attempts=1))
        async def wait(sender, **extra):
            inner = asyncio.create_task(asyncio.sleep(10))
            inner.cancel()
            await inner

        send(outbox, 7)
        run_all(outbox)
        assert ["CancelledError"] == [row.reason for row in rows(outbox)]

    def test_an_error_that_cannot_be_printed(self, outbox):
        """If ``str(error)`` fails, the reason is the error's type."""

        class RudeError(Exception):
            def __str__(self):
                raise ValueError

        @order_paid.connect
        @durable("test.broken", retry=Retry(attempts=1))
        def broken(sender, **extra):
            raise RudeError

        send(outbox, 7)
        run_all(outbox)
        assert ["RudeError"] == [row.reason for row in rows(outbox)]


class TestKeys:
    def test_are_kept_in_order(self, outbox):
        """Deliveries with one key run one after the other, beside those with other keys."""
        received = []

        @order_paid.connect
        @durable("test.bookkeeping", key=lambda sender, **extra: sender, retry=SOON)
        def enter(sender, *, order_id):
            received.append((sender, order_id))
            if order_id == 1 and current_delivery().attempt == 1:
                raise ConnectionError

        send(outbox, 1, 2, 3, sender="harbour")
        send(outbox, 1001, 1002, sender="market")
        run_all(outbox)
        assert [1, 1, 2, 3] == [order_id for sender, order_id in received if sender == "harbour"]
        assert [1001, 1002] == [order_id for sender, order_id in received if sender == "market"]

    def test_a_dead_letter_blocks_its_key_alone(self, outbox):
        """A dead letter blocks only its key, until it is discarded or replayed."""
        received = []

        @order_paid.connect
        @durable("test.bookkeeping", key=lambda sender, **extra: sender, retry=Retry(attempts=1))
        def enter(sender, *, order_id):
            if order_id == 1:
                raise ConnectionError
            received.append(order_id)

        send(outbox, 1, 2, sender="harbour")
        send(outbox, 3, sender="market")
        with working(outbox):
            until(lambda: received == [3] and counts(outbox).get("dead"))
            time.sleep(0.2)
            assert [3] == received
            list(outbox.store.discard(DeliveryFilter(states=[State.DEAD])))
            until(lambda: received == [3, 2])
