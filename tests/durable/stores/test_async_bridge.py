"""A sync store runs on the engine of an async driver."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from aldis.durable.store._async_bridge import bridge, call_in_greenlet, has_async_engine
from aldis.durable.store.memory import MemoryStore
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import DeliveryFilter, State
from aldis.testing.store.helpers import add, claim, new, register_worker, run_all
from tests.durable import support


@pytest.fixture
def store(tmp_path):
    """Give a bridged store on an async engine."""
    path = tmp_path / "shop.db"
    with support.sqlite(path):
        pass
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=NullPool)
    with asyncio.Runner() as runner:
        yield bridge(SqlStore(engine.sync_engine), lambda call: runner.run(call_in_greenlet(call)))
        runner.run(engine.dispose())


def test_workers_use_it(store):
    """Methods return what the store returns."""
    store.check()
    add(store, "a", "b", order_key="k")
    assert ["a", "b"] == run_all(store, register_worker(store), ordered=True)
    assert 2 == store.count(DeliveryFilter(states=[State.DONE]))


def test_operators_use_it(store):
    """Each step of an iterator runs in the event loop."""
    store.add(None, [new("many") for _ in range(600)])
    assert [500, 100] == list(store.discard(DeliveryFilter()))
    assert [500, 100] == list(store.replay(DeliveryFilter()))
    assert 600 == len(claim(store, register_worker(store), 1000))


def test_attributes_pass_through(store):
    """Attributes that are not methods are those of the store."""
    assert "sqlite" == store.kind
    assert has_async_engine(store)
    assert not has_async_engine(MemoryStore())
