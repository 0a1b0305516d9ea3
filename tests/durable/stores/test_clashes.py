"""Two workers claim the same ordering key, and neither sees the other's claim."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, get_ident

import pytest
from sqlalchemy import event

from aldis.testing.store.helpers import add, claim, names, new, register_worker, run_all

SECONDS = 30


@pytest.fixture
def store(sql_store):
    """Give a store in a database with several writers at a time."""
    if sql_store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    return sql_store


@contextmanager
def held_before_commit(engine):
    """Hold another thread's next commit; yield an event for its arrival and one to release it."""
    there, go = Event(), Event()
    mine = get_ident()

    def hold(_):
        if get_ident() != mine and not there.is_set():
            there.set()
            assert go.wait(SECONDS)

    event.listen(engine, "commit", hold)
    try:
        yield there, go
    finally:
        go.set()
        event.remove(engine, "commit", hold)


@contextmanager
def claimed_at_the_same_time(store, first, second):
    """Claim a later delivery while an earlier one and its claim are committed."""
    with (
        ThreadPoolExecutor(1) as pool,
        held_before_commit(store.engine) as (there, go),
    ):
        with store.transaction() as handle:
            store.add(handle, [new("earlier", order_key="k")])
            add(store, "later", order_key="k")
            slow = pool.submit(claim, store, second, ordered=True)
            assert there.wait(SECONDS)
        quick = claim(store, first, ordered=True)
        go.set()
        yield quick, slow.result(SECONDS)


def test_the_later_commit_gives_way(store):
    """The worker that commits last releases its claim."""
    first, second = register_worker(store), register_worker(store)
    with claimed_at_the_same_time(store, first, second) as (quick, slow):
        assert ["earlier"] == names(quick)
        assert [] == slow
        store.complete(quick)
    assert ["later"] == run_all(store, first, ordered=True)


def test_a_released_claim_does_not_count(store):
    """The released claim uses up no attempt."""
    first, second = register_worker(store), register_worker(store)
    with claimed_at_the_same_time(store, first, second) as (quick, _):
        store.complete(quick)
    (later,) = claim(store, second, ordered=True)
    assert 1 == later.attempt


def test_without_keys_both_claims_hold(store):
    """Deliveries without a key are claimed by both workers."""
    first, second = register_worker(store), register_worker(store)
    add(store, "a", "b")
    assert ["a"] == names(claim(store, first, 1, ordered=True))
    assert ["b"] == names(claim(store, second, 1, ordered=True))
