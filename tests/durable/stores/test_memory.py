"""The store in memory."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from aldis.durable.store.memory import MemoryStore
from aldis.durable.types import State
from aldis.testing.store import StoreSuite
from aldis.testing.store.helpers import (
    RollBackError,
    add,
    claim,
    delivery,
    is_due,
    new,
    register_worker,
    state,
    states,
)


class TestMemory(StoreSuite):
    """The store in memory passes the suite."""

    delay = 0.3  # there is no disk

    @pytest.fixture
    def store(self):
        """Return a new store."""
        return MemoryStore()


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self):
        """Return the clock's time."""
        return self.now

    def move(self, seconds):
        """Move the clock forward."""
        self.now += timedelta(seconds=seconds)


class TestMemoryWithOwnClock(StoreSuite):
    """The store in memory passes the suite with a clock that the test moves."""

    delay = 10.0

    @pytest.fixture
    def store(self):
        """Return a new store, with the clock that :meth:`later` moves."""
        self.clock = Clock()
        return MemoryStore(self.clock)

    def later(self, seconds):
        """Move the clock."""
        self.clock.move(seconds)


def test_the_clock_decides_what_is_due():
    """A delayed delivery is due when the clock reaches its time."""
    clock = Clock()
    store = MemoryStore(clock)
    store.add(None, [new("a", delay=86_400.0)])
    assert clock.now + timedelta(days=1) == delivery(store, "a").due_at
    clock.move(86_399)
    assert [1.0] == [due.seconds for due in store.due(["billing.receipt"])]
    clock.move(1)
    assert is_due(store)


@pytest.fixture
def session():
    """Give a session of an unrelated database."""
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_a_sessions_commit_records(session):
    """Deliveries of a session appear after its commit."""
    store = MemoryStore()
    session.begin()
    store.add(session, [new("a")])
    assert {} == states(store)
    session.commit()
    assert {"a": State.PENDING} == states(store)


def test_a_sessions_rollback_records_nothing(session):
    """A rollback of the session or of a savepoint drops its deliveries."""
    store = MemoryStore()
    session.begin()
    store.add(session, [new("a")])
    with suppress(RollBackError), session.begin_nested():
        store.add(session, [new("b")])
        raise RollBackError
    session.commit()
    session.begin()
    store.add(session, [new("c")])
    session.rollback()
    assert {"a": State.PENDING} == states(store)


def test_completion_waits_for_the_sessions_commit(session):
    """A delivery is done when the session that completed it has committed."""
    store = MemoryStore()
    add(store, "a")
    (claimed,) = claim(store, register_worker(store))
    session.begin()
    assert store.complete_in(session, claimed)
    session.rollback()
    assert State.RUNNING is state(store, "a")
    session.begin()
    assert store.complete_in(session, claimed)
    assert State.RUNNING is state(store, "a")
    session.commit()
    assert State.DONE is state(store, "a")
