"""Connections that break in the pool, or while they return to it."""

import os
from contextlib import suppress

import pytest
from sqlalchemy import create_engine, event

from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import NewDelivery
from aldis.errors import OutboxError
from tests.durable.kill.faults import faulty_connections

pytestmark = pytest.mark.service
on_servers = pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)


@pytest.fixture
def pooled(engine, url):
    """Provide an engine with few connections behind a proxy, and the faults of the proxy."""
    with faulty_connections(url) as (faults, behind):
        pooled = create_engine(behind, pool_size=1, max_overflow=1, pool_timeout=2)
        try:
            yield pooled, faults
        finally:
            pooled.dispose()


@on_servers
def test_broken_in_the_pool(pooled):
    """The first use of a broken connection raises an OutboxError; the next one reconnects."""
    engine, faults = pooled
    store = SqlStore(engine)
    for _ in range(5):
        assert [] == store.due(["receipt"])
        faults.cut()
        with pytest.raises(OutboxError, match=r"refused|cannot be reached"):
            store.due(["receipt"])


@on_servers
def test_broken_on_its_way_back(pooled):
    """A connection that breaks right after a commit does not leak from the pool."""
    engine, faults = pooled
    store = SqlStore(engine)
    event.listen(engine, "reset", lambda *_: faults.cut())
    for number in range(5):
        with suppress(OutboxError):
            store.add(None, [NewDelivery(f"{number:032}", "receipt", "paid", "{}")])
    assert 0 == engine.pool.checkedout()


@on_servers
def test_woken_too_late(engine):
    """Waking a closed notifier does nothing, and does not write into another file."""
    store = SqlStore(engine)
    notifier = store.notifier()
    notifier.close()
    before = os.pipe()
    try:
        os.set_blocking(before[0], False)
        notifier.wake()
        with pytest.raises(BlockingIOError):
            os.read(before[0], 1)
    finally:
        for each in before:
            os.close(each)
