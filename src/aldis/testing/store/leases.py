"""What a store promises about leases."""

# ruff: noqa: S101, SIM300, PLR2004 - tests put what they expect first, and count

from __future__ import annotations

from uuid import uuid4

from aldis.durable.store import Store
from aldis.durable.types import (
    DEAD_AFTER,
    QUARANTINE_AFTER,
    AttemptFailure,
    ClaimedDelivery,
    DeliveryFilter,
    State,
)
from aldis.testing.store.helpers import (
    RECEIVER,
    Clock,
    add,
    assert_lost,
    claim,
    delivery,
    names,
    register_worker,
    state,
    states,
)


class LeaseTests(Clock):
    """What happens to a worker's deliveries when it dies."""

    def test_a_lost_worker_is_replaced(self, store: Store) -> None:
        """After a rescue, another worker gets the deliveries, and the attempt does not count."""
        add(store, "a", "b")
        worker = register_worker(store)
        claim(store, worker)
        assert 2 == self.lose(store, worker)
        assert 0 == store.rescue().deliveries
        seen = delivery(store, "a")
        assert (State.PENDING, 0, 1, None) == (
            seen.state,
            seen.attempts,
            seen.lost_workers,
            seen.worker,
        )
        again = claim(store, register_worker(store))
        assert ["a", "b"] == sorted(names(again))
        assert [(1, 1), (1, 1)] == [(each.attempt, each.lost_workers) for each in again]

    def test_a_valid_lease_keeps_its_deliveries(self, store: Store) -> None:
        """A rescue takes deliveries from expired leases only."""
        add(store, "a", "b")
        alive, lost = register_worker(store), register_worker(store)
        (kept,) = claim(store, alive, 1)
        claim(store, lost, 1)
        add(store, "c")
        assert 1 == self.lose(store, lost)
        waiting = State.PENDING
        assert {"a": State.RUNNING, "b": waiting, "c": waiting} == states(store)
        assert 1 == store.complete([kept])

    def test_a_lost_worker_cannot_complete(self, store: Store) -> None:
        """After a rescue, the results of the lost worker have no effect."""
        add(store, "a")
        worker = register_worker(store)
        (claimed,) = claim(store, worker)
        assert 1 == self.lose(store, worker)
        assert_lost(store, claimed)
        assert State.PENDING is state(store, "a")
        (taken,) = claim(store, register_worker(store))
        assert_lost(store, claimed)
        assert State.RUNNING is state(store, "a")
        assert 1 == store.complete([taken])
        assert_lost(store, claimed)
        assert State.DONE is state(store, "a")

    def test_a_heartbeat_renews_the_lease(self, store: Store) -> None:
        """A worker that renews its lease in time keeps its deliveries."""
        add(store, "a")
        worker = register_worker(store, self.delay)
        (claimed,) = claim(store, worker)
        assert store.heartbeat(worker, self.delay + 60.0)
        self.later(self.delay + 0.1)
        assert 0 == store.rescue().deliveries
        assert 1 == store.complete([claimed])

    def test_a_late_heartbeat_renews_the_lease(self, store: Store) -> None:
        """An expired lease can be renewed as long as no rescue has ended it."""
        add(store, "a")
        worker = register_worker(store)
        (claimed,) = claim(store, worker)
        store.heartbeat(worker, 0.01)
        self.later(0.05)
        assert store.heartbeat(worker, 60.0)
        assert 0 == store.rescue().deliveries
        assert 1 == store.complete([claimed])

    def test_a_rescued_lease_is_over(self, store: Store) -> None:
        """``heartbeat`` returns false for a lease that a rescue ended, and for an unknown one."""
        add(store, "a")
        worker = register_worker(store)
        self.lose(store, worker)
        assert not store.heartbeat(worker, 60.0)
        assert [] == claim(store, worker)
        assert not store.heartbeat(uuid4().hex, 60.0)

    def test_a_rescue_names_the_lost_workers(self, store: Store) -> None:
        """A rescue returns each lost worker once, with the number of its deliveries."""
        add(store, "a", "b")
        worker, idle = register_worker(store), register_worker(store)
        claim(store, worker)
        for lease in (worker, idle):
            store.heartbeat(lease, 0.01)
        self.later(0.05)
        rescued = store.rescue()
        assert [("a test", 0), ("a test", 2)] == sorted(
            (each.name, each.deliveries) for each in rescued.workers
        )
        assert (2, ()) == (rescued.deliveries, rescued.dead)
        assert () == store.rescue().workers

    def test_a_rescue_returns_the_dead_letters(self, store: Store) -> None:
        """A rescue returns the deliveries that became dead letters, and no others."""
        add(store, "a")
        for lost in range(DEAD_AFTER):
            worker = register_worker(store)
            assert claim(store, worker, exclusive=lost >= QUARANTINE_AFTER)
            store.heartbeat(worker, 0.01)
            self.later(0.05)
            dead = store.rescue().dead
            assert (["a"] if lost == DEAD_AFTER - 1 else []) == names(dead)

    def test_a_rescue_ends_empty_leases(self, store: Store) -> None:
        """A rescue ends an expired lease that holds no delivery."""
        worker = register_worker(store)
        assert 0 == self.lose(store, worker)
        assert not store.heartbeat(worker, 60.0)

    def test_unregistering_releases(self, store: Store) -> None:
        """The deliveries of a worker that unregisters are pending, and no attempt counts."""
        add(store, "a", "b", "c")
        worker, other = register_worker(store), register_worker(store)
        a, b = claim(store, worker, 2)
        (c,) = claim(store, other)
        assert 1 == store.complete([a])
        assert 1 == store.unregister_worker(worker)
        assert 0 == store.unregister_worker(worker)
        assert {"a": State.DONE, "b": State.PENDING, "c": State.RUNNING} == states(store)
        seen = delivery(store, "b")
        assert (0, 0, None) == (seen.attempts, seen.lost_workers, seen.worker)
        assert_lost(store, b)
        assert 1 == store.complete([c])

    def test_a_dangerous_delivery_is_quarantined(self, store: Store) -> None:
        """A delivery that lost several workers is given to exclusive claims only."""
        add(store, "bad", "good")
        self.quarantine(store)
        worker = register_worker(store)
        seen = delivery(store, "bad")
        assert (State.QUARANTINED, QUARANTINE_AFTER) == (seen.state, seen.lost_workers)
        assert {True, False} == {due.exclusive for due in store.due([RECEIVER])}
        assert ["good"] == names(claim(store, worker))
        assert {True} == {due.exclusive for due in store.due([RECEIVER])}
        assert [] == claim(store, worker)
        (bad,) = claim(store, worker, 1, exclusive=True)
        assert ("bad", QUARANTINE_AFTER) == (bad.payload, bad.lost_workers)
        assert [] == claim(store, worker, exclusive=True)
        assert 1 == store.complete([bad])
        assert State.DONE is state(store, "bad")

    def test_a_quarantined_attempt_counts(self, store: Store) -> None:
        """If a worker dies with a quarantined delivery, the attempt counts."""
        add(store, "bad")
        self.quarantine(store)
        before = delivery(store, "bad").attempts
        worker = register_worker(store)
        (bad,) = claim(store, worker, exclusive=True)
        assert before + 1 == bad.attempt
        self.lose(store, worker)
        seen = delivery(store, "bad")
        assert (State.QUARANTINED, before + 1) == (seen.state, seen.attempts)

    def test_a_quarantine_continues(self, store: Store) -> None:
        """A failure, a release or the end of a worker does not end the quarantine."""
        add(store, "bad")
        self.quarantine(store)
        worker = register_worker(store)
        for end in (self.fail, self.release, self.unregister_worker):
            (bad,) = claim(store, worker, exclusive=True)
            end(store, bad)
            assert State.QUARANTINED is state(store, "bad")

    def test_too_many_lost_workers_make_a_dead_letter(self, store: Store) -> None:
        """A delivery that lost too many workers is a dead letter, with a reason."""
        add(store, "bad")
        for lost in range(DEAD_AFTER):
            worker = register_worker(store)
            (claimed,) = claim(store, worker, exclusive=lost >= QUARANTINE_AFTER)
            assert lost == claimed.lost_workers
            assert 1 == self.lose(store, worker)
        dead = delivery(store, "bad")
        assert (State.DEAD, DEAD_AFTER, None) == (dead.state, dead.lost_workers, dead.worker)
        assert f"{DEAD_AFTER} workers were lost" in (dead.reason or "")
        worker = register_worker(store)
        assert [] == claim(store, worker) + claim(store, worker, exclusive=True)

    def test_a_replay_ends_the_quarantine(self, store: Store) -> None:
        """A replayed delivery is pending again, without lost workers."""
        add(store, "bad")
        self.quarantine(store)
        worker = register_worker(store)
        (bad,) = claim(store, worker, exclusive=True)
        store.fail(bad, AttemptFailure("gave up"))
        assert 1 == sum(store.replay(DeliveryFilter(ids=[bad.id])))
        seen = delivery(store, "bad")
        assert (State.PENDING, 0, 0) == (seen.state, seen.attempts, seen.lost_workers)
        assert ["bad"] == names(claim(store, worker))

    def quarantine(self, store: Store) -> None:
        """Lose workers with the delivery ``bad`` until it is quarantined."""
        for _ in range(QUARANTINE_AFTER):
            worker = register_worker(store)
            for each in claim(store, worker):
                if each.payload != "bad":
                    store.release([each])
            assert 1 == self.lose(store, worker)

    def fail(self, store: Store, claimed: ClaimedDelivery) -> None:
        """Let the delivery fail."""
        assert store.fail(claimed, AttemptFailure("no paper", retry_in=0.0))

    def release(self, store: Store, claimed: ClaimedDelivery) -> None:
        """Release the delivery."""
        assert 1 == store.release([claimed])

    def unregister_worker(self, store: Store, claimed: ClaimedDelivery) -> None:
        """Unregister the worker that holds the delivery."""
        assert 1 == store.unregister_worker(claimed.worker)
