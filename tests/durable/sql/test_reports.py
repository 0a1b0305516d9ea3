"""The numbers and groups that the dashboard shows, on each database."""

from uuid import uuid4

import pytest

from aldis.durable.store.sql import migrate, reports
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import AttemptFailure, DeliveryFilter, NewDelivery, State


@pytest.fixture
def store(engine):
    """Give a store on a new database."""
    migrate.upgrade(engine)
    return SqlStore(engine)


def add(store, receiver="receipt", **more):
    """Record a delivery and return its key."""
    new = NewDelivery(uuid4().hex, receiver, "order-paid", "{}", **more)
    store.add(None, [new])
    return new.key


def claim(store, receiver="receipt", limit=100):
    """Claim deliveries of a receiver with a new lease."""
    worker = uuid4().hex
    store.register_worker(worker, "a worker", 60.0)
    return store.claim(worker, receiver, limit, ordered=False)


def die(store, *reasons, receiver="receipt"):
    """Make one dead letter for each reason; return their ids."""
    for _ in reasons:
        add(store, receiver)
    ids = []
    for claimed, reason in zip(claim(store, receiver), reasons, strict=True):
        store.fail(claimed, AttemptFailure(reason))
        ids.append(claimed.id)
    return ids


class TestLoads:
    def test_counts_by_receiver_and_state(self, store):
        """Each receiver has the number of its deliveries in each state, and the oldest due time."""
        die(store, "ValueError: no paper")
        add(store)
        add(store, "late", delay=600.0)
        store.complete(claim(store, limit=1))
        add(store)
        late, receipt = store.read(reports.loads)
        assert ("late", {State.PENDING: 1}, None) == (late.receiver, late.counts, late.oldest)
        assert {State.PENDING: 1, State.DONE: 1, State.DEAD: 1} == receipt.counts
        assert 0 < receipt.oldest < 60
        assert frozenset() == receipt.capped

    def test_a_large_number_is_not_counted_to_its_end(self, store, monkeypatch):
        """A state with more deliveries than the limit is marked."""
        monkeypatch.setattr(reports, "MOST", 3)
        for _ in range(5):
            add(store)
        (receipt,) = store.read(reports.loads)
        assert ({State.PENDING: 3}, {State.PENDING}) == (receipt.counts, receipt.capped)

    def test_an_empty_outbox(self, store):
        """Without deliveries there is nothing to list."""
        assert [] == store.read(reports.loads)
        assert [] == store.read(reports.workers)
        assert [] == store.read(reports.dead_groups)
        assert {} == store.read(reports.paused_since)


def test_workers(store):
    """A worker has its name, its lease and the number of deliveries that it runs."""
    add(store)
    add(store)
    assert 2 == len(claim(store))
    store.register_worker(uuid4().hex, "idle", 60.0)
    busy, idle = store.read(reports.workers)
    assert ("a worker", 2) == (busy.name, busy.running)
    assert ("idle", 0) == (idle.name, idle.running)
    assert 0 < busy.expires_in <= 60


def test_paused_receivers(store):
    """A paused receiver is listed with the time of its pause."""
    store.pause("receipt")
    assert ["receipt"] == list(store.read(reports.paused_since))


class TestDeadGroups:
    def test_are_by_receiver_and_type_of_error(self, store):
        """Messages that differ only after the first colon are one group."""
        ids = die(store, "OSError: order 1", "OSError: order 2", "gone")
        die(store, "OSError: x", receiver="other")
        groups = store.read(reports.dead_groups)
        assert [("receipt", "OSError", 2), ("other", "OSError", 1), ("receipt", "gone", 1)] == [
            (each.receiver, each.error, each.count) for each in groups
        ]
        assert ids[1] == groups[0].highest_id
        assert groups[0].example in {"OSError: order 1", "OSError: order 2"}

    def test_later_deaths_do_not_belong_to_a_group(self, store):
        """A delivery that dies after the group was read is left out, even with a lower id."""
        add(store, delay=3600.0)
        ids = die(store, "OSError: 1", "OSError: 2")
        (group,) = store.read(reports.dead_groups)
        early = store.find(DeliveryFilter(states=[State.PENDING]), limit=1)[0]
        assert early.id < group.highest_id
        with store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE aldis_deliveries SET due_at = 0 WHERE state = 0")
        (claimed,) = claim(store)
        store.fail(claimed, AttemptFailure("OSError: 3"))
        assert sorted(ids) == sorted(store.read(reports.dead_ids, group))

    def test_changed_ones_leave_a_group(self, store):
        """A delivery that was replayed is no longer in its group."""
        first, second = die(store, "OSError: 1", "OSError: 2")
        (group,) = store.read(reports.dead_groups)
        sum(store.replay(DeliveryFilter(ids=[first])))
        assert [second] == list(store.read(reports.dead_ids, group))


def test_causes(store):
    """The chain of causes begins with the first one, and ends before the delivery itself."""
    first = add(store, "a")
    second = add(store, "b", caused_by=first)
    add(store, "c", caused_by=second)
    (last,) = store.find(DeliveryFilter(receiver="c"), limit=1)
    assert ["a", "b"] == [each.receiver for each in store.read(reports.causes, last.id)]


def test_causes_in_a_circle(store):
    """A chain of causes that never ends is cut."""
    add(store, "a")
    with store.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE aldis_deliveries SET emission_id = '0123456789abcdef0123456789abcdef', "
            "cause = '0123456789abcdef0123456789abcdef:a'"
        )
    (found,) = store.find(DeliveryFilter(), limit=1)
    assert len(store.read(reports.causes, found.id)) == reports.MOST_CAUSES


def test_the_audit_log(store):
    """A change is recorded once for each token, with its user and its size."""
    entry = {"user": "ada", "action": "replay", "target": "12 dead letters", "token": "t1"}
    number = store.write(reports.record_change, **entry)
    store.write(reports.set_changed, number, 12)
    assert store.write(reports.record_change, **entry) is None
    store.write(reports.record_change, **entry | {"token": "t2", "user": "bob"})
    newest, oldest = store.read(reports.audit_log, limit=10)
    assert ("bob", "replay", None) == (newest.user, newest.action, newest.changed)
    assert ("ada", "12 dead letters", 12) == (oldest.user, oldest.target, oldest.changed)
