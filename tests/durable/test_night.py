"""What an operator changes from another process reaches workers at once; wrong names are told."""

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
from tests.durable.sql.databases import database
from tests.durable.support import create_tables, order_paid
from tests.durable.working import send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")

LEASE = "1" * 32

#: Seconds in which a worker hears of news. By itself, what it sleeps with looks after 5 only.
SOON = 1.5


@pytest.fixture
def url(tmp_path):
    """Give a database of PostgreSQL, with the tables."""
    with database("postgresql", tmp_path) as url:
        with connected(url) as engine:
            create_tables(engine)
        yield url


@contextmanager
def connected(url):
    """Give an engine of one's own."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.mark.service
class TestWaking:
    """Workers sleep; an operator, whose process is another one, wakes them."""

    @pytest.fixture
    def outbox(self, url):
        """Give the workers' outbox."""
        with connected(url) as engine:
            yield Outbox(engine=engine)

    @pytest.fixture
    def operator(self, url):
        """Give the operator's store, which knows no worker."""
        with connected(url) as engine:
            store = SqlStore(engine)
            store.register_worker(LEASE, "quay-1", 600)
            yield store

    @pytest.fixture
    def notifier(self, outbox):
        """Give what a worker sleeps with, and that has heard of all there was."""
        notifier = outbox.store.notifier()
        yield notifier
        notifier.close()

    def test_a_replay(self, notifier, operator):
        """A dead letter that is replayed is told."""
        bury(operator)
        assert slept(notifier, lambda: list(operator.replay(DeliveryFilter()))) < SOON

    def test_a_resume(self, notifier, operator):
        """A receiver that is let go on is told."""
        operator.pause("test.receipt")
        assert slept(notifier, lambda: operator.resume("test.receipt")) < SOON

    def test_a_discarded_one_frees_the_next(self, notifier, operator):
        """Discarding a dead letter tells the workers that the delivery behind it is pending."""
        bury(operator, order_key="7")
        add_blocked(operator, order_key="7")
        assert slept(notifier, lambda: list(operator.discard(DEAD))) < SOON

    def test_what_changes_nothing(self, notifier, operator):
        """It is not told."""
        bury(operator)

        def change():
            assert not operator.resume("test.receipt")
            assert [] == list(operator.replay(DeliveryFilter(receiver="test.other")))
            assert [] == list(operator.discard(DeliveryFilter(receiver="test.other")))

        assert slept(notifier, change, seconds=0.5) >= 0.5

    def test_a_store_that_is_not_to_notify(self, notifier, operator):
        """It tells nobody."""
        quiet = SqlStore(operator.engine, notify=False)
        bury(operator)
        operator.pause("test.receipt")

        def change():
            assert [1] == list(quiet.replay(DeliveryFilter()))
            assert quiet.resume("test.receipt")

        assert slept(notifier, change, seconds=0.5) >= 0.5

    def test_a_worker(self, outbox, operator):
        """It begins what is replayed, and what is let go on, about at once."""
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


def bury(store, **facts):
    """Make a dead letter."""
    add(store, **facts)
    (claimed,) = store.claim(LEASE, "test.receipt", 1, ordered=False)
    store.fail(claimed, AttemptFailure("LookupError", ""))


def slept(notifier, change, seconds=4):
    """Return for how long a notifier waits, at most, after a change."""
    notifier.wait(0)  # begins to listen
    notifier.wait(0.2)  # takes in what came before
    change()
    began = time.monotonic()
    notifier.wait(seconds)
    return time.monotonic() - began


class TestWithinAProcess:
    """A worker in the operator's own process need not be told by the database."""

    @pytest.mark.service
    def test_it_is_woken(self, url):
        """Replaying, resuming and discarding wake those that wait with the same store."""
        with connected(url) as engine:
            store = SqlStore(engine, notify=False)
            store.register_worker(LEASE, "quay-1", 600)
            bury(store, order_key="7")
            add_blocked(store, order_key="7")
            store.pause("test.receipt")
            notifier = store.notifier()
            try:
                assert slept(notifier, lambda: store.resume("test.receipt")) < SOON
                assert slept(notifier, lambda: list(store.discard(DEAD))) < SOON
                assert slept(notifier, lambda: list(store.replay(DeliveryFilter()))) < SOON
            finally:
                notifier.close()


class TestUnknownNames:
    """Who gives a wrong name is told which there are."""

    def test_the_closest(self):
        """The one that is nearly it is asked for."""
        expected = "there is no durable receiver 'test.recipt'; did you mean 'test.receipt'?"
        assert expected == unknown_receiver("test.recipt", ["test.receipt", "other"])

    def test_all_of_a_few(self):
        """Up to five are named when none is close, in order."""
        expected = "there is no durable receiver 'nope'; there are 'a', 'b', 'c', 'd', 'e'"
        assert expected == unknown_receiver("nope", "edcba")

    def test_some_of_many(self):
        """Of more, it is said how many more there are."""
        expected = (
            "there is no durable receiver 'nope'; there are 'a', 'b', 'c', 'd', 'e' and 2 more"
        )
        assert expected == unknown_receiver("nope", "gfedcba")

    def test_none(self):
        """Where there is nobody, that is said."""
        expected = "there is no durable receiver 'nope'; there is none at all"
        assert expected == unknown_receiver("nope", [])

    def test_names_that_nobody_has_written(self):
        """A name from a database gives no orders to a terminal."""
        assert "\x1b" not in unknown_receiver("nope", ["\x1b[2J"])

    def test_a_worker(self, tmp_path):
        """A worker that is to serve a receiver that is not there says who is, of all it knows."""
        order_paid.connect(durable("test.receipt")(lambda sender, **extra: None))
        with connected(f"sqlite:///{tmp_path}/shop.db") as engine:
            create_tables(engine)
            with pytest.raises(UnknownNameError, match=r"receiver 'nope'; there are '"):
                Worker(Outbox(engine=engine), receivers=["nope"]).run()


def test_a_database_that_goes_away_and_comes_back(file, receipt, caplog):
    """Both are said once, so that who reads the log knows that it is over."""
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
