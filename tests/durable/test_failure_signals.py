"""Failures as signals: what their receivers get, where they run, and that they harm nothing."""

import asyncio
import logging
import threading
import time

import pytest
from sqlalchemy import text

from aldis.durable import Retry, Worker, current_delivery, durable
from aldis.durable._log import SafeLogger
from aldis.durable.signals import delivery_dead_lettered, delivery_failed, worker_lost
from aldis.durable.types import DEAD_AFTER, State
from aldis.testing import drain
from tests.durable import support
from tests.durable.sql import databases
from tests.durable.support import order_paid, rows
from tests.durable.working import SOON, run_all, send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")

ONCE = Retry(attempts=1)

EVIL = "billing\n2026-01-01 ERROR forged\x1b[2J"


@pytest.fixture
def reports():
    """Give the list of the signals that are sent, as pairs of name, sender and payload."""
    found = []

    def keep(name):
        def receive(sender, **payload):
            found.append((name, sender, payload))

        return receive

    receivers = [keep("failed"), keep("dead"), keep("lost")]
    signals = (delivery_failed, delivery_dead_lettered, worker_lost)
    for signal, receiver in zip(signals, receivers, strict=True):
        signal.connect(receiver)
    yield found
    for signal, receiver in zip(signals, receivers, strict=True):
        signal.disconnect(receiver)


def broken(retry=SOON, name="test.broken"):
    """Connect a durable receiver that always raises."""

    @order_paid.connect
    @durable(name, retry=retry)
    def broken(sender, *, order_id):
        raise LookupError("no such lamp")

    return broken


class TestPayload:
    def test_of_failed_attempts_and_the_dead_letter(self, outbox, reports):
        """Each attempt is reported with its exception, its key and the next wait."""
        broken()
        send(outbox, 7)
        run_all(outbox)
        (row,) = rows(outbox)
        assert [("failed", 1), ("failed", 2), ("dead", 3)] == [
            (name, payload["attempt"]) for name, _, payload in reports
        ]
        for _, sender, payload in reports:
            assert "test.broken" == sender
            assert (row.id, row.key, "order_paid") == (
                payload["delivery_id"],
                payload["key"],
                payload["signal"],
            )
            assert "LookupError: no such lamp" == payload["reason"]
            assert "no such lamp" == str(payload["error"]).strip("'")
            assert payload["error"].__traceback__ is not None
        assert reports[0][2]["retry_in"] <= 0.01
        assert "retry_in" not in reports[2][2]

    def test_can_be_chosen_by_the_receiver(self, outbox):
        """The sender is the receiver's name, so a pager can listen to one durable receiver."""
        broken(ONCE, "test.a")
        broken(ONCE, "test.b")
        paged = []

        @delivery_dead_lettered.connect_via("test.b")
        def page(sender, *, reason, **extra):
            paged.append((sender, reason))

        send(outbox, 7)
        drain(outbox, raise_errors=False)
        assert [("test.b", "LookupError: no such lamp")] == paged

    def test_success_and_retry_later_are_not_reported(self, outbox, receipt, reports):
        """A receiver that returns causes no report."""
        send(outbox, 7)
        assert 1 == drain(outbox).done
        assert [] == reports

    @pytest.mark.parametrize("kind", databases.DATABASES)
    def test_of_lost_workers(self, kind, tmp_path, receipt, reports):
        """A worker reports another one whose lease ran out, and the dead letters it left."""
        with databases.engine_on(kind, tmp_path) as engine:
            support.create_tables(engine)
            outbox = support.outbox_on(engine)
            send(outbox, 7, 8)
            store = outbox.store
            store.register_worker("a" * 32, "quay-1", 600)
            assert 2 == len(store.claim("a" * 32, receipt.name, 2, ordered=False))
            with engine.begin() as connection:
                connection.execute(text("UPDATE aldis_workers SET expires_at = 1"))
                connection.execute(
                    text("UPDATE aldis_deliveries SET lost = :lost WHERE id = 1"),
                    {"lost": DEAD_AFTER - 1},
                )
            run_all(outbox)
            assert [State.DEAD, State.DONE] == [row.state for row in rows(outbox)]
        (lost,) = [each for each in reports if each[0] == "lost"]
        assert ("lost", "quay-1", {"deliveries": 2}) == lost
        (dead,) = [each for each in reports if each[0] == "dead"]
        assert (receipt.name, 1, None) == (dead[1], dead[2]["delivery_id"], dead[2]["error"])


class TestRobustness:
    def test_a_receiver_that_raises(self, outbox, reports, caplog):
        """The error of a receiver is logged, and the worker and other receivers go on."""
        broken(ONCE)

        @delivery_dead_lettered.connect
        def fail(sender, **extra):
            raise OSError("the pager is away")

        @delivery_dead_lettered.connect
        def leave(sender, **extra):
            raise SystemExit

        send(outbox, 1, 2)
        run_all(outbox)
        assert 2 == len(reports)
        assert 2 == sum("raised" in message for message in caplog.messages)
        assert 2 == sum("could not be reported" in message for message in caplog.messages)

    def test_a_receiver_that_hangs(self, outbox, caplog, monkeypatch):
        """A receiver that never returns stops neither deliveries nor the end of the worker."""
        monkeypatch.setattr("aldis.durable.worker.reporter.MAX_WAITING", 3)
        release = threading.Event()
        broken(ONCE)

        @delivery_dead_lettered.connect
        def hang(sender, **extra):
            release.wait(60)

        try:
            with working(outbox) as worker:
                send(outbox, *range(9))
                until(lambda: worker.failed == 9)
                worker._loop._reporter._patience = 0.1
        finally:
            release.set()
        assert 9 == len(rows(outbox, State.DEAD))
        assert any("are too slow" in message for message in caplog.messages)
        assert any("has not returned within 0.1 s" in message for message in caplog.messages)

    def test_a_durable_receiver(self, outbox):
        """A failure can be recorded for a durable receiver, whose own failure is not sent."""
        broken(ONCE)
        reports = []

        @delivery_dead_lettered.connect
        def count(sender, **extra):
            reports.append(sender)

        @delivery_dead_lettered.connect
        @durable("ops.page", payload=lambda sender, *, key, **_: {"key": key}, retry=ONCE)
        def page(sender, *, key):
            raise OSError("the pager is away")

        send(outbox, 7)
        for _ in range(3):
            drain(outbox, raise_errors=False)
        first, second = rows(outbox, State.DEAD)
        assert f'"key":"{first.key}"' in second.payload
        assert "ops.page" == second.receiver
        assert ["test.broken"] == reports
        assert 2 == len(rows(outbox))


class TestPlace:
    def test_of_sync_receivers(self, outbox):
        """A sync receiver runs in the thread for reports, in the app context, without a loop."""
        broken(ONCE)
        seen = []

        @delivery_dead_lettered.connect
        def page(sender, **extra):
            seen.append(threading.current_thread().name)
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            with pytest.raises(LookupError):
                current_delivery()

        send(outbox, 7)
        run_all(outbox)
        assert ["aldis-reports"] == seen

    def test_of_async_receivers(self, outbox):
        """Without async durable receivers, an async receiver gets a loop in that thread."""
        broken(ONCE)
        seen = []

        @delivery_dead_lettered.connect
        async def page(sender, **extra):
            await asyncio.sleep(0)
            seen.append((threading.current_thread().name, asyncio.get_running_loop()))

        send(outbox, 7, 8)
        run_all(outbox, receivers=["test.broken"])
        assert 2 == len(seen)
        assert 1 == len(set(seen))
        assert "aldis-reports" == seen[0][0]

    def test_of_async_receivers_beside_async_durable_ones(self, outbox):
        """An async receiver runs in the event loop of the async durable receivers."""
        loops = []

        @order_paid.connect
        @durable("test.broken", retry=ONCE)
        async def fail(sender, **extra):
            loops.append(asyncio.get_running_loop())
            raise LookupError

        @delivery_dead_lettered.connect
        async def page(sender, **extra):
            await asyncio.sleep(0.01)
            loops.append(asyncio.get_running_loop())

        send(outbox, 7)
        run_all(outbox)
        first, second = loops
        assert first is second

    def test_drain_waits_for_them(self, outbox):
        """``drain`` and ``Worker.drain`` return after the receivers of reports."""
        broken(ONCE)
        seen = []

        @delivery_dead_lettered.connect
        def page(sender, **extra):
            time.sleep(0.1)
            seen.append(sender)

        send(outbox, 7)
        drain(outbox, raise_errors=False)
        assert ["test.broken"] == seen
        send(outbox, 8)
        Worker(outbox).drain()
        assert ["test.broken"] * 2 == seen

    async def test_adrain(self, outbox):
        """In an async test, async receivers run in the loop of the test."""
        from aldis.testing import adrain

        loops = []

        @order_paid.connect
        @durable("test.broken", retry=ONCE)
        async def fail(sender, **extra):
            raise LookupError

        @delivery_dead_lettered.connect
        async def page(sender, **extra):
            loops.append(asyncio.get_running_loop())

        send(outbox, 7)
        await adrain(outbox, raise_errors=False)
        assert [asyncio.get_running_loop()] == loops


class TestLog:
    def test_has_the_exception_and_fields(self, outbox, caplog):
        """The records of failures have ``exc_info`` and fields that handlers can use."""
        broken(Retry(attempts=2, first_delay=0.01))
        send(outbox, 7)
        run_all(outbox)
        (row,) = rows(outbox)
        records = [each for each in caplog.records if hasattr(each, "delivery_id")]
        assert [logging.WARNING, logging.ERROR] == [each.levelno for each in records]
        assert [1, 2] == [each.attempt for each in records]
        for record in records:
            assert isinstance(record.exc_info[1], LookupError)
            assert ("test.broken", "order_paid", row.key, row.id) == (
                record.receiver,
                record.signal,
                record.key,
                record.delivery_id,
            )
            assert "reporter.py" == record.filename

    @pytest.mark.parametrize("column", ["signal", "reason", "emission_id"])
    def test_no_value_of_a_row_can_forge_a_line(self, outbox, engine, caplog, column):
        """Line breaks and escape sequences of rows are escaped before any handler sees them."""

        @order_paid.connect
        @durable("test.broken", retry=ONCE)
        def fail(sender, **extra):
            raise LookupError(EVIL)

        send(outbox, 7)
        if column != "reason":
            with engine.begin() as connection:
                connection.execute(
                    text(f"UPDATE aldis_deliveries SET {column} = :value"),  # noqa: S608 - a constant
                    {"value": EVIL},
                )
        run_all(outbox)
        assert [State.DEAD] == [row.state for row in rows(outbox)]
        assert any("is a dead letter" in message for message in caplog.messages)
        for record in caplog.records:
            fields = (getattr(record, name, "") for name in ("receiver", "signal", "key"))
            for value in (record.getMessage(), *fields):
                assert value.isprintable(), value

    def test_the_names_of_others_cannot_forge_a_line(self, outbox, engine, caplog, receipt):
        """The names of unknown receivers and lost workers are escaped, too."""
        caplog.set_level(logging.INFO, "aldis")
        send(outbox, 7)
        with engine.begin() as connection:
            connection.execute(text("UPDATE aldis_deliveries SET receiver = :x"), {"x": EVIL})
        outbox.store.register_worker("a" * 32, EVIL, -1)
        with working(outbox):
            until(lambda: any("has run out" in message for message in caplog.messages))
        assert any("forged" in message for message in caplog.messages)
        assert all(message.isprintable() for message in caplog.messages)

    def test_every_logger_escapes(self):
        """Each module of durable receivers logs through the logger that escapes."""
        import importlib
        import pkgutil

        import aldis.durable

        for module in pkgutil.walk_packages(aldis.durable.__path__, "aldis.durable."):
            if ".migrations." not in module.name:
                log = getattr(importlib.import_module(module.name), "_log", None)
                assert log is None or isinstance(log, SafeLogger), module.name
