"""One worker: time limits, sessions, and payloads that cannot be read."""

import asyncio
import contextvars
import sys
import threading
import time
from contextlib import suppress
from types import ModuleType

import pytest
from sqlalchemy import text

from aldis.durable import Retry, Worker, current_delivery, durable
from aldis.durable.receiver import forget_receiver
from aldis.durable.types import State
from aldis.errors import ReceiverError
from aldis.observe import trace
from tests.durable.support import counts, order_paid, receipt_sent, rows, write, written
from tests.durable.working import SOON, run_all, send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestTimeLimits:
    def test_a_sync_receiver_is_interrupted(self, outbox, engine):
        """A sync receiver is interrupted when it next runs Python code, and is rolled back."""
        seen = []

        @order_paid.connect
        @durable("test.slow", timeout=0.2, retry=Retry(attempts=1))
        def slow(sender, **extra):
            write(current_delivery().session, "too late")
            try:
                for _ in range(1000):
                    time.sleep(0.01)
            except BaseException as error:
                seen.append(type(error).__name__)
                raise

        send(outbox, 7)
        run_all(outbox)
        assert (["TimeLimitInterrupt"], []) == (seen, written(engine))
        (row,) = rows(outbox)
        assert State.DEAD == row.state
        assert "'test.slow' took longer than its time limit of 0.2 s" in row.reason

    def test_a_receiver_that_catches_every_exception(self, outbox):
        """``except Exception`` does not catch the interrupt, so no two attempts overlap."""
        running, overlaps = [], []

        @order_paid.connect
        @durable("test.stubborn", timeout=0.1, retry=Retry(attempts=3, first_delay=0.01))
        def stubborn(sender, **extra):
            overlaps.append(len(running))
            running.append(sender)
            try:
                end = time.monotonic() + 5
                while time.monotonic() < end:
                    with suppress(Exception):
                        time.sleep(0.01)
            finally:
                running.pop()

        send(outbox, 7)
        run_all(outbox)
        assert [0, 0, 0] == overlaps
        assert [State.DEAD] == [row.state for row in rows(outbox)]

    def test_patched_threads(self, outbox, monkeypatch):
        """A worker refuses a time limit if gevent has patched the threads."""
        gevent = ModuleType("gevent.monkey")
        gevent.is_module_patched = lambda name: name == "threading"
        monkeypatch.setitem(sys.modules, "gevent.monkey", gevent)

        @order_paid.connect
        @durable("test.green", timeout=1)
        def green(sender, **extra): ...

        with pytest.raises(ReceiverError, match=r"gevent has patched the threads.*remove timeout="):
            Worker(outbox).run()

    def test_a_receiver_that_cannot_be_interrupted_does_not_complete(self, outbox, engine):
        """A thread that returns after its time limit cannot complete the delivery."""
        release = threading.Event()
        received = []

        @order_paid.connect
        @durable("test.stuck", timeout=0.2, retry=Retry(attempts=2, first_delay=0.01))
        def stuck(sender, **extra):
            delivery = current_delivery()
            received.append(delivery.attempt)
            session = delivery.session
            if delivery.attempt == 1:
                release.wait(2)  # in C, where no interruption arrives
            write(session, f"attempt {delivery.attempt}")

        send(outbox, 7)
        with working(outbox):
            until(lambda: counts(outbox) == {"done": 1})
            release.set()
            time.sleep(0.3)
        assert ([1, 2], ["attempt 2"]) == (received, written(engine))

    def test_an_async_receiver_is_cancelled(self, outbox):
        """An async receiver is cancelled where it awaits."""
        seen = []

        @order_paid.connect
        @durable("test.slow", timeout=0.1, retry=Retry(attempts=1))
        async def slow(sender, **extra):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        send(outbox, 7)
        run_all(outbox)
        assert ["cancelled"] == seen
        assert "'test.slow' took longer than its time limit of 0.1 s" in rows(outbox)[0].reason

    def test_a_timeout_of_its_own_is_no_time_limit(self, outbox):
        """A TimeoutError of the receiver itself is not reported as the time limit."""

        @order_paid.connect
        @durable("test.slow", timeout=10, retry=Retry(attempts=1))
        async def slow(sender, **extra):
            raise TimeoutError("the mail server")

        send(outbox, 7)
        run_all(outbox)
        assert ["TimeoutError: the mail server"] == [row.reason for row in rows(outbox)]


class TestSurroundings:
    def test_context_variables_do_not_leak(self, outbox):
        """A context variable that one delivery sets is not visible in the next one."""
        variable = contextvars.ContextVar("variable", default=0)
        seen = []

        @order_paid.connect
        @durable("test.sync")
        def sync(sender, **extra):
            seen.append(variable.get())
            variable.set(1)

        @order_paid.connect
        @durable("test.async")
        async def not_sync(sender, **extra):
            seen.append(variable.get())
            variable.set(1)

        send(outbox, *range(5))
        run_all(outbox, concurrency=1)
        assert [0] * 10 == seen

    def test_async_receivers_share_a_loop(self, outbox):
        """Async receivers run concurrently in one thread."""
        together = []
        running = 0

        @order_paid.connect
        @durable("test.wait")
        async def wait(sender, **extra):
            nonlocal running
            running += 1
            together.append((running, threading.current_thread().name))
            await asyncio.sleep(0.3)
            running -= 1

        send(outbox, 1, 2, 3)
        run_all(outbox, concurrency=3)
        assert 3 == max(count for count, _ in together)
        assert {"aldis-loop"} == {name for _, name in together}

    def test_the_trace(self, outbox):
        """An observer sees each delivery and the sends of its receiver."""

        @order_paid.connect
        @durable("test.pass_on")
        def pass_on(sender, *, order_id):
            receipt_sent.send(sender, order_id=order_id)

        @receipt_sent.connect
        @durable("test.archive")
        def archive(sender, **extra): ...

        send(outbox, 7)
        with trace() as seen:
            run_all(outbox)
        paid, archived = seen.roots
        assert ("order_paid", "durable") == (paid.signal, paid.how)
        assert ["receipt_sent"] == [each.signal for each in paid.calls[0].emissions]
        assert ("receipt_sent", "durable") == (archived.signal, archived.how)
        assert paid.calls[0].receiver.endswith("pass_on")


class TestTheSession:
    def test_a_receiver_that_commits_and_then_raises(self, outbox, engine, caplog):
        """A receiver that commits and then raises is done, and the error is logged."""

        @order_paid.connect
        @durable("test.receipt", retry=SOON)
        def receipt(sender, **extra):
            session = current_delivery().session
            write(session, "once")
            session.commit()
            raise ConnectionError("too late")

        send(outbox, 7)
        run_all(outbox)
        assert (["once"], {"done": 1}) == (written(engine), counts(outbox))
        assert any("raised after it had committed delivery" in each for each in caplog.messages)

    def test_a_receiver_that_commits_twice(self, outbox, engine):
        """A receiver can commit a second transaction."""

        @order_paid.connect
        @durable("test.receipt")
        def receipt(sender, **extra):
            session = current_delivery().session
            for number in range(2):
                write(session, f"part {number}")
                session.commit()

        send(outbox, 7)
        run_all(outbox)
        assert (["part 0", "part 1"], {"done": 1}) == (written(engine), counts(outbox))

    def test_a_receiver_that_rolls_back_and_goes_on(self, outbox, engine):
        """Writes after a rollback are committed with the completion, once."""

        @order_paid.connect
        @durable("test.receipt", retry=SOON)
        def receipt(sender, **extra):
            session = current_delivery().session
            write(session, "gone")
            session.rollback()
            write(session, f"attempt {current_delivery().attempt}")

        send(outbox, 7)
        run_all(outbox)
        assert (["attempt 1"], {"done": 1}) == (written(engine), counts(outbox))

    def test_a_receiver_that_only_rolls_back(self, outbox, engine):
        """A receiver that rolls back and returns is done."""

        @order_paid.connect
        @durable("test.receipt", retry=SOON)
        def receipt(sender, **extra):
            session = current_delivery().session
            write(session, "gone")
            session.rollback()

        send(outbox, 7)
        run_all(outbox)
        assert ([], {"done": 1}) == (written(engine), counts(outbox))
        assert [1] == [row.attempts for row in rows(outbox)]

    def test_a_send_is_recorded_in_the_transaction_of_the_receiver(self, outbox, engine):
        """A send in the receiver's transaction is rolled back with it and counted once."""

        @order_paid.connect
        @durable("test.pass_on", retry=SOON)
        def pass_on(sender, *, order_id):
            receipt_sent.send(sender, order_id=order_id)
            if current_delivery().attempt < 3:
                raise ConnectionError

        @receipt_sent.connect
        @durable("test.archive")
        def archive(sender, *, order_id):
            write(current_delivery().session, f"archived {order_id}")

        send(outbox, 7)
        run_all(outbox)
        assert ["archived 7"] == written(engine)


class TestPayloads:
    def spoil(self, outbox, payload):
        """Replace the payload of the only row."""
        with outbox.engine.begin() as connection:
            connection.execute(text("UPDATE aldis_deliveries SET payload = :p"), {"p": payload})

    @pytest.mark.parametrize("payload", ["", "{", "[]", "null", '{"sender": 1}', "\x00"])
    def test_that_cannot_be_read(self, outbox, payload):
        """An unreadable payload fails at each attempt, and the receiver is not called."""

        @order_paid.connect
        @durable("test.receipt", retry=SOON)
        def receipt(sender, **extra):
            raise AssertionError

        send(outbox, 7)
        self.spoil(outbox, payload)
        run_all(outbox)
        (row,) = rows(outbox)
        assert (State.DEAD, SOON.attempts) == (row.state, row.attempts)
        assert row.reason.startswith("Payload")

    def test_of_a_contract_that_has_changed(self, outbox):
        """An outdated payload is retried, so that the next release can upgrade it."""
        received = []

        @order_paid.connect
        @durable("test.receipt")
        def receipt(sender, *, order_id): ...

        send(outbox, 7)
        (row,) = rows(outbox)
        self.spoil(outbox, row.payload.replace("order_id", "number"))
        with working(outbox):
            (row,) = until(lambda: [row for row in rows(outbox, State.PENDING) if row.attempts])
        assert "order_id" in row.reason

        order_paid.disconnect(receipt)
        forget_receiver(receipt)

        @order_paid.connect
        @durable("test.receipt", upgrade=lambda payload: {"order_id": payload["number"]})
        def upgraded(sender, *, order_id):
            received.append(order_id)

        run_all(outbox)
        assert [7] == received

    def test_of_a_signal_it_is_not_connected_to_any_more(self, outbox):
        """A delivery of a disconnected signal fails with the reason, and is retried."""
        receipt = durable("test.receipt", retry=SOON)(lambda sender, **extra: None)
        order_paid.connect(receipt)
        send(outbox, 7)
        with outbox.engine.begin() as connection:
            connection.execute(text("UPDATE aldis_deliveries SET signal = 'order-closed'"))
        run_all(outbox)
        assert "is no longer connected to the signal 'order-closed'" in rows(outbox)[0].reason


class TestWarnings:
    def test_rows_without_a_receiver(self, outbox, caplog):
        """Deliveries without a receiver stay, and the worker logs a warning at its start."""
        gone = order_paid.connect(durable("test.gone")(lambda sender, **extra: None))
        send(outbox, 7)
        order_paid.disconnect(gone)
        forget_receiver(gone)
        with working(outbox):
            until(lambda: caplog.messages)
        (said,) = caplog.messages
        assert said.startswith("1 delivery waits for durable receiver 'test.gone', which this app")
        assert {"pending": 1} == counts(outbox)

    def test_a_receiver_without_a_signal(self, outbox, caplog):
        """The worker warns of a durable receiver that was never connected."""
        durable("test.lonely")(lambda sender, **extra: None)
        with working(outbox):
            until(lambda: caplog.messages)
        (said,) = caplog.messages
        assert "'test.lonely'" in said
        assert said.endswith("is not connected to any signal: it is not served")

    @pytest.mark.parametrize("options", [{"concurrency": 0}, {"lease": 0}])
    def test_numbers_out_of_range(self, outbox, options):
        """A worker refuses numbers that are out of range."""
        with pytest.raises(ValueError, match=r"at least|above 0"):
            Worker(outbox, **options)


def test_receivers_that_read_before_they_write_wait_for_each_other_on_sqlite(outbox, engine):
    """On SQLite, the sessions take the write lock first, so none fails with "locked"."""

    @order_paid.connect
    @durable("test.reader", retry=Retry(attempts=1))
    def read_first(sender, *, order_id, **extra):
        session = current_delivery().session
        session.execute(text("SELECT count(*) FROM sqlite_master")).all()
        time.sleep(0.02)
        write(session, str(order_id))

    send(outbox, *range(12))
    with working(outbox, concurrency=4):
        until(lambda: len(written(engine)) == 12)
    assert [] == rows(outbox, State.DEAD)
