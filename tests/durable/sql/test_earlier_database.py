"""A database that an earlier aldis migrated and used works after an upgrade.

``revision_0001.sql`` is a dump of such a database, with one delivery in each state.
"""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from aldis.durable.store.sql import migrate
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import DeliveryFilter, State

WORKER = "a" * 32

STATES = {
    1: State.DONE,
    2: State.DEAD,
    3: State.BLOCKED,
    4: State.DISCARDED,
    5: State.QUARANTINED,
    6: State.RUNNING,
    7: State.PENDING,
}


@pytest.fixture
def engine(tmp_path):
    """Yield an engine on a copy of the earlier database."""
    path = tmp_path / "earlier.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        Path(__file__).with_name("revision_0001.sql").read_text(encoding="utf-8")
    )
    connection.close()
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    """Return the store in the upgraded database, with its worker's lease renewed."""
    migrate.upgrade(engine)
    store = SqlStore(engine)
    assert store.heartbeat(WORKER, 600)
    return store


def test_it_is_upgraded(engine):
    """``upgrade`` runs the later revisions, and the tables are complete then."""
    assert "0001" == migrate.current(engine)
    assert list(migrate.REVISIONS[1:]) == migrate.upgrade(engine)
    migrate.check(engine, columns=True)
    assert [] == migrate.upgrade(engine)


def test_the_numbers_of_states_are_the_same(store):
    """Each stored number means the state that it meant before."""
    found = store.find(DeliveryFilter(), limit=100)
    assert {row.id: row.state for row in found} == STATES
    blocked, quarantined = found[2], found[4]
    assert f"{2:032x}:billing.receipt" == blocked.caused_by
    assert 2 == quarantined.lost_workers


def test_a_worker_goes_on(store):
    """A worker completes what was running and claims what was waiting."""
    claims = {"ordered": True}
    assert [7] == [each.id for each in store.claim(WORKER, "billing.receipt", 9, **claims)]
    (alone,) = store.claim(WORKER, "billing.receipt", 9, exclusive=True, **claims)
    assert (5, 2) == (alone.id, alone.attempt)
    assert 3 == store.unregister_worker(WORKER)


def test_an_operator_goes_on(store):
    """An operator resumes a receiver; discarding a dead letter frees the delivery behind it."""
    assert store.resume("billing.refund")
    assert [1] == list(store.discard(DeliveryFilter(states=[State.DEAD])))
    (freed,) = store.find(DeliveryFilter(ids=[3]), limit=1)
    assert State.PENDING is freed.state
    assert [2] == list(store.replay(DeliveryFilter()))
