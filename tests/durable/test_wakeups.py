"""Changes of an operator wake the workers of other processes, and wrong names are errors."""

import logging
import sqlite3
import time
from contextlib import contextmanager
from threading import Event

import pytest
from sqlalchemy import create_engine

from aldis.durable import Outbox, Retry, Worker, durable
from aldis.durable.receiver import unknown_receiver
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import AttemptFailure, DeliveryFilter, NewDelivery, State
from aldis.errors import UnknownNameError
from tests.durable import support
from tests.durable.sql import databases
from tests.durable.sql.databases import database
from tests.durable.support import create_tables, order_paid
from tests.durable.working import send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")

LEASE = "1" * 32

#: The most seconds until a worker wakes up. Without a notification, it polls after 5 seconds.
SOON = 1.5


@pytest.fixture
def url(tmp_path):
    """Give a PostgreSQL database with the tables."""
    with database("postgresql", tmp_path) as url:
        with connected(url) as engine:
            create_tables(engine)
        yield url


@contextmanager
def connected(url):
    """Give a new engine."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.mark.service
class TestWaking:
    """An operator in another process wakes the workers that wait."""

    @pytest.fixture
    def outbox(self, url):
        """Give the workers' outbox."""
        with connected(url) as engine:
            yield Outbox(engine=engine)

    @pytest.fixture
    def operator(self, url):
        """Give the operator's store."""
        with connected(url) as engine:
            store = SqlStore(engine)
            store.register_worker(LEASE, "quay-1", 600)
            yield store

    @pytest.fixture
    def notifier(self, outbox):
        """Give the notifier that a worker waits with."""
        notifier = outbox.store.notifier()
        yield notifier
        notifier.close()

    def test_a_replay(self, notifier, operator):
        """The replay of a dead letter wakes the workers."""
        add_dead(operator)
        assert seconds_waited(notifier, lambda: list(operator.replay(DeliveryFilter()))) < SOON

    def test_a_resume(self, notifier, operator):
        """Resuming a receiver wakes the workers."""
        operator.pause("test.receipt")
        assert seconds_waited(notifier, lambda: operator.resume("test.receipt")) < SOON

    def test_a_discarded_delivery_unblocks_the_next(self, notifier, operator):
        """Discarding a dead letter wakes the workers for the delivery that it blocked."""
        add_dead(operator, order_key="7")
        add_blocked(operator, order_key="7")
        assert seconds_waited(notifier, lambda: list(operator.discard(DEAD))) < SOON

    def test_a_command_without_effect(self, notifier, operator):
        """A command that changes nothing wakes no worker."""
        add_dead(operator)

        def change():
            assert not operator.resume("test.receipt")
            assert [] == list(operator.replay(DeliveryFilter(receiver="test.other")))
            assert [] == list(operator.discard(DeliveryFilter(receiver="test.other")))

        assert seconds_waited(notifier, change, seconds=0.5) >= 0.5

    def test_a_store_without_notifications(self, notifier, operator):
        """A store with ``notify=False`` does not wake workers of other processes."""
        quiet = SqlStore(operator.engine, notify=False)
        add_dead(operator)
        operator.pause("test.receipt")

        def change():
            assert [1] == list(quiet.replay(DeliveryFilter()))
            assert quiet.resume("test.receipt")

        assert seconds_waited(notifier, change, seconds=0.5) >= 0.5

    def test_a_worker(self, outbox, operator):
        """A worker starts replayed and resumed deliveries at once."""
        ran, repaired = Event(), Event()

        @order_paid.connect
        @durable("test.receipt", retry=Retry(attempts=1))
        def receipt(sender, *, order_id, **extra):
            if not repaired.is_set():
                raise LookupError(order_id)
            ran.set()

        with working(outbox):
            send(outbox, 7)
            until(lambda: operator.count(DeliveryFilter(states=(State.DEAD,))))
            repaired.set()
            assert [1] == list(operator.replay(DeliveryFilter()))
            assert ran.wait(SOON)
            operator.pause("test.receipt")
            ran.clear()
            send(outbox, 8)
            assert not ran.wait(0.3)
            assert operator.resume("test.receipt")
            assert ran.wait(SOON)


#: Selects the dead letters.
DEAD = DeliveryFilter(states=[State.DEAD])


def add(store, **facts):
    """Record a delivery."""
    new = NewDelivery(
        **{
            "emission_id": "0" * 32,
            "receiver": "test.receipt",
            "signal": "order_paid",
            "payload": "{}",
            **facts,
        }
    )
    store.add(None, [new])


def add_blocked(store, **facts):
    """Record a delivery that a dead letter with the same key blocks."""
    add(store, **facts)
    assert [] == store.claim(LEASE, "test.receipt", 1, ordered=True)
    assert 1 == store.count(DeliveryFilter(states=[State.BLOCKED]))


def add_dead(store, **facts):
    """Record a dead letter."""
    add(store, **facts)
    (claimed,) = store.claim(LEASE, "test.receipt", 1, ordered=False)
    store.fail(claimed, AttemptFailure("LookupError", ""))


def seconds_waited(notifier, change, seconds=4):
    """Return how many seconds a notifier waits after a change."""
    notifier.wait(0)  # starts to listen
    notifier.wait(0.2)  # takes in what came before
    change()
    began = time.monotonic()
    notifier.wait(seconds)
    return time.monotonic() - began


class TestWithinAProcess:
    """A worker in the operator's process is woken without the database."""

    @pytest.mark.service
    def test_changes_wake_the_notifier(self, url):
        """Replay, resume and discard wake the notifiers of the same store."""
        with connected(url) as engine:
            store = SqlStore(engine, notify=False)
            store.register_worker(LEASE, "quay-1", 600)
            add_dead(store, order_key="7")
            add_blocked(store, order_key="7")
            store.pause("test.receipt")
            notifier = store.notifier()
            try:
                assert seconds_waited(notifier, lambda: store.resume("test.receipt")) < SOON
                assert seconds_waited(notifier, lambda: list(store.discard(DEAD))) < SOON
                assert seconds_waited(notifier, lambda: list(store.replay(DeliveryFilter()))) < SOON
            finally:
                notifier.close()


class TestUnknownNames:
    """The error about an unknown receiver names the known ones."""

    def test_the_closest(self):
        """The error suggests a receiver with a similar name."""
        expected = "unknown durable receiver 'test.recipt'; did you mean 'test.receipt'?"
        assert expected == unknown_receiver("test.recipt", ["test.receipt", "other"])

    def test_all_of_a_few(self):
        """Without a similar name, up to five receivers are named in alphabetical order."""
        expected = "unknown durable receiver 'nope'; choose one of 'a', 'b', 'c', 'd', 'e'"
        assert expected == unknown_receiver("nope", "edcba")

    def test_some_of_many(self):
        """Of more than five receivers, the error gives the number of the others."""
        expected = (
            "unknown durable receiver 'nope'; choose one of 'a', 'b', 'c', 'd', 'e' and 2 more"
        )
        assert expected == unknown_receiver("nope", "gfedcba")

    def test_none(self):
        """Without any receiver, the error states that."""
        expected = "unknown durable receiver 'nope'; the app has no durable receivers"
        assert expected == unknown_receiver("nope", [])

    def test_names_with_control_characters(self):
        """Control characters in a recorded name do not reach the terminal."""
        assert "\x1b" not in unknown_receiver("nope", ["\x1b[2J"])

    def test_a_worker(self, tmp_path):
        """A worker for an unknown receiver raises an error that names the known ones."""
        order_paid.connect(durable("test.receipt")(lambda sender, **extra: None))
        with connected(f"sqlite:///{tmp_path}/shop.db") as engine:
            create_tables(engine)
            with pytest.raises(UnknownNameError, match=r"receiver 'nope'; choose one of '"):
                Worker(Outbox(engine=engine), receivers=["nope"]).run()


def test_a_database_that_goes_away_and_comes_back(file, receipt, caplog):
    """The outage and its end are logged once each."""
    caplog.set_level(logging.INFO, "aldis")
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.05})
    other = sqlite3.connect(file, isolation_level=None)
    with working(Outbox(engine=engine)):
        until(lambda: "serves billing.receipt" in caplog.text)
        other.execute("BEGIN EXCLUSIVE")
        until(lambda: "the worker tries again until the database answers" in caplog.text)
        other.execute("ROLLBACK")
        until(lambda: "the database answers again" in caplog.text)
    other.close()
    engine.dispose()
    assert 1 == caplog.text.count("tries again until") == caplog.text.count("answers again")


@pytest.mark.service
class TestMariadb:
    def test_a_commit_of_another_process_wakes_it(self, tmp_path, monkeypatch):
        """The highest id tells a worker of a commit, without a poll of each receiver."""
        monkeypatch.setattr("aldis.durable.store.sql.notify.POLL", 60.0)
        monkeypatch.setattr("aldis.durable.worker.worker.RESCUE_EVERY", 60.0)
        monkeypatch.setattr("aldis.durable.worker.worker.CHECK_EVERY", 60.0)
        received = []
        with databases.engine_on("mariadb", tmp_path) as engine:
            support.create_tables(engine)

            @order_paid.connect
            @durable("test.receipt")
            def receipt(sender, *, order_id):
                received.append(order_id)

            other = create_engine(engine.url)
            with working(support.outbox_on(engine)):
                for number in range(3):
                    send(support.outbox_on(other), number)
                    until(lambda number=number: number in received)
            other.dispose()
        assert [0, 1, 2] == received

    def test_a_lost_connection_is_replaced(self, tmp_path):
        """After the server has closed the notifier's connection, it opens another one."""
        with databases.engine_on("mariadb", tmp_path) as engine:
            support.create_tables(engine)
            store = support.outbox_on(engine).store
            notifier = store.notifier()
            notifier.wait(0.01)
            with engine.connect() as connection:
                others = connection.exec_driver_sql(
                    "SELECT id FROM information_schema.processlist"
                    " WHERE db = database() AND id <> connection_id()"
                ).scalars()
                for number in list(others):
                    connection.exec_driver_sql(f"KILL {number}")
            notifier.wait(0.01)
            notifier.wait(0.01)
            assert notifier._cursor is not None
            notifier.close()
