"""Two workers that claim the same key while neither sees the other's claim."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, get_ident

import pytest
from sqlalchemy import event

from aldis.testing.store.steps import add, claim, names, new, register_worker, run_all

SECONDS = 30


@pytest.fixture
def store(sql_store):
    """Give a store in a database in which several transactions can write at a time."""
    if sql_store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    return sql_store


@contextmanager
def held_before_commit(engine):
    """Hold the next commit of one other thread: give what says that it is there, and lets it go."""
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
    """Have a claim's commit wait while an earlier delivery, and its claim, are committed."""
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


def test_one_of_them_gives_way(store):
    """Whoever commits last sees the other and gives back, so that one key never runs twice."""
    first, second = register_worker(store), register_worker(store)
    with claimed_at_the_same_time(store, first, second) as (quick, slow):
        assert ["earlier"] == names(quick)
        assert [] == slow
        store.complete(quick)
    assert ["later"] == run_all(store, first, ordered=True)


def test_what_gave_way_was_no_attempt(store):
    """The delivery that was claimed in vain has all its attempts."""
    first, second = register_worker(store), register_worker(store)
    with claimed_at_the_same_time(store, first, second) as (quick, _):
        store.complete(quick)
    (later,) = claim(store, second, ordered=True)
    assert 1 == later.attempt


def test_without_keys_nobody_gives_way(store):
    """What has no key is given to both."""
    first, second = register_worker(store), register_worker(store)
    add(store, "a", "b")
    assert ["a"] == names(claim(store, first, 1, ordered=True))
    assert ["b"] == names(claim(store, second, 1, ordered=True))
