"""Connections that have broken while they lay in the pool, or on their way back to it."""

import os
from contextlib import suppress

import pytest
from sqlalchemy import create_engine, event

from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import NewDelivery
from aldis.errors import OutboxError
from tests.durable.kill.gale import gale_before

pytestmark = pytest.mark.service
on_servers = pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)


@pytest.fixture
def pooled(engine, url):
    """Give an engine with few connections behind a proxy, and what happens to them."""
    with gale_before(url) as (gale, behind):
        pooled = create_engine(behind, pool_size=1, max_overflow=1, pool_timeout=2)
        try:
            yield pooled, gale
        finally:
            pooled.dispose()


@on_servers
def test_broken_in_the_pool(pooled):
    """The first to use it has an error of the outbox, and the next a new connection."""
    engine, gale = pooled
    store = SqlStore(engine)
    for _ in range(5):
        assert [] == store.due(["receipt"])
        gale.cut()
        with pytest.raises(OutboxError, match=r"refused|cannot be reached"):
            store.due(["receipt"])


@on_servers
def test_broken_on_its_way_back(pooled):
    """A connection that breaks right after a commit costs the pool no place."""
    engine, gale = pooled
    store = SqlStore(engine)
    event.listen(engine, "reset", lambda *_: gale.cut())
    for number in range(5):
        with suppress(OutboxError):
            store.add(None, [NewDelivery(f"{number:032}", "receipt", "paid", "{}")])
    assert 0 == engine.pool.checkedout()


@on_servers
def test_woken_too_late(engine):
    """A receiver that returns after its worker has ended wakes nobody, and writes into no file."""
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
