"""The store in memory."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from aldis.durable.store.memory import MemoryStore
from aldis.durable.types import State
from aldis.testing.store import StoreSuite
from aldis.testing.store.steps import (
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
    """The store in memory keeps the promises of a store."""

    delay = 0.3  # there is no disk

    @pytest.fixture
    def store(self):
        """Return a new store."""
        return MemoryStore()


class Clock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self):
        """Return what it shows."""
        return self.now

    def move(self, seconds):
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class TestMemoryByHand(StoreSuite):
    """It keeps them with a clock that only the test moves."""

    delay = 10.0

    @pytest.fixture
    def store(self):
        """Return a new store, with the clock that :meth:`later` moves."""
        self.clock = Clock()
        return MemoryStore(self.clock)

    def later(self, seconds):
        """Move the clock."""
        self.clock.move(seconds)


def test_the_clock_says_what_is_due():
    """A delivery of tomorrow is due when the clock says that it is tomorrow."""
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
    """Give a session of a database that has nothing to do with the store."""
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_what_a_session_recorded_is_there_after_its_commit(session):
    """Recorded through a session of SQLAlchemy, it waits for the commit."""
    store = MemoryStore()
    session.begin()
    store.add(session, [new("a")])
    assert {} == states(store)
    session.commit()
    assert {"a": State.PENDING} == states(store)


def test_what_a_session_rolled_back_is_not_there(session):
    """A rollback of the session, or of the savepoint, takes back what was recorded in it."""
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
    """A delivery is done when the session in which it was completed has committed."""
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
