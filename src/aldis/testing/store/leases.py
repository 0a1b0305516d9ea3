"""What happens when workers are lost."""

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
from aldis.testing.store.steps import (
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
    """Leases."""

    def test_what_a_lost_worker_had_goes_to_another(self, store: Store) -> None:
        """It is pending again once somebody looks, and the attempt does not count."""
        add(store, "a", "b")
        worker = register_worker(store)
        claim(store, worker)
        assert 2 == self.lose(store, worker)
        assert 0 == store.rescue()
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

    def test_nothing_is_taken_from_a_lease_that_runs(self, store: Store) -> None:
        """Only those whose time is over are lost; what is pending is not touched."""
        add(store, "a", "b")
        alive, lost = register_worker(store), register_worker(store)
        (kept,) = claim(store, alive, 1)
        claim(store, lost, 1)
        add(store, "c")
        assert 1 == self.lose(store, lost)
        waiting = State.PENDING
        assert {"a": State.RUNNING, "b": waiting, "c": waiting} == states(store)
        assert 1 == store.complete([kept])

    def test_who_lost_its_lease_cannot_complete(self, store: Store) -> None:
        """What a worker says after it was given up has no effect, taken over or not."""
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

    def test_a_lease_can_be_extended(self, store: Store) -> None:
        """A worker that renews its lease in time keeps what it has."""
        add(store, "a")
        worker = register_worker(store, self.delay)
        (claimed,) = claim(store, worker)
        assert store.heartbeat(worker, self.delay + 60.0)
        self.later(self.delay + 0.1)
        assert 0 == store.rescue()
        assert 1 == store.complete([claimed])

    def test_a_lease_that_nobody_took_can_be_extended(self, store: Store) -> None:
        """A worker that was late, and unnoticed, keeps what it has."""
        add(store, "a")
        worker = register_worker(store)
        (claimed,) = claim(store, worker)
        store.heartbeat(worker, 0.01)
        self.later(0.05)
        assert store.heartbeat(worker, 60.0)
        assert 0 == store.rescue()
        assert 1 == store.complete([claimed])

    def test_a_lease_that_was_taken_is_gone(self, store: Store) -> None:
        """A worker learns that it was given up, and gets nothing until it begins another life."""
        add(store, "a")
        worker = register_worker(store)
        self.lose(store, worker)
        assert not store.heartbeat(worker, 60.0)
        assert [] == claim(store, worker)
        assert not store.heartbeat(uuid4().hex, 60.0)

    def test_leases_are_taken_with_nothing_in_them(self, store: Store) -> None:
        """A lost worker that had nothing is forgotten, and nothing was taken from it."""
        worker = register_worker(store)
        assert 0 == self.lose(store, worker)
        assert not store.heartbeat(worker, 60.0)

    def test_who_retires_gives_back(self, store: Store) -> None:
        """What a worker had when it ended in order is pending again, and nothing counts."""
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

    def test_what_workers_are_lost_with_runs_alone(self, store: Store) -> None:
        """What may be to blame is given to who asks for it alone, and to nobody else."""
        add(store, "bad", "good")
        self.make_suspect(store)
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

    def test_an_attempt_of_a_suspect_counts(self, store: Store) -> None:
        """From then on the attempt in which its worker was lost has been one."""
        add(store, "bad")
        self.make_suspect(store)
        before = delivery(store, "bad").attempts
        worker = register_worker(store)
        (bad,) = claim(store, worker, exclusive=True)
        assert before + 1 == bad.attempt
        self.lose(store, worker)
        seen = delivery(store, "bad")
        assert (State.QUARANTINED, before + 1) == (seen.state, seen.attempts)

    def test_a_suspect_that_failed_or_came_back_is_still_one(self, store: Store) -> None:
        """That a receiver raised, or was not begun, does not clear it of its lost workers."""
        add(store, "bad")
        self.make_suspect(store)
        worker = register_worker(store)
        for end in (self.fail, self.release, self.unregister_worker):
            (bad,) = claim(store, worker, exclusive=True)
            end(store, bad)
            assert State.QUARANTINED is state(store, "bad")

    def test_what_costs_too_many_workers_is_a_dead_letter(self, store: Store) -> None:
        """After so many it is given to nobody, and says why."""
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

    def test_what_is_replayed_is_no_suspect(self, store: Store) -> None:
        """Whoever has looked at it, and replays it, gives it a new beginning."""
        add(store, "bad")
        self.make_suspect(store)
        worker = register_worker(store)
        (bad,) = claim(store, worker, exclusive=True)
        store.fail(bad, AttemptFailure("gave up"))
        assert 1 == sum(store.replay(DeliveryFilter(ids=[bad.id])))
        seen = delivery(store, "bad")
        assert (State.PENDING, 0, 0) == (seen.state, seen.attempts, seen.lost_workers)
        assert ["bad"] == names(claim(store, worker))

    def make_suspect(self, store: Store) -> None:
        """Lose workers with what is due first."""
        for _ in range(QUARANTINE_AFTER):
            worker = register_worker(store)
            for each in claim(store, worker):
                if each.payload != "bad":
                    store.release([each])
            assert 1 == self.lose(store, worker)

    def fail(self, store: Store, claimed: ClaimedDelivery) -> None:
        """Have a delivery fail."""
        assert store.fail(claimed, AttemptFailure("no paper", retry_in=0.0))

    def release(self, store: Store, claimed: ClaimedDelivery) -> None:
        """Give a delivery back."""
        assert 1 == store.release([claimed])

    def unregister_worker(self, store: Store, claimed: ClaimedDelivery) -> None:
        """Retire with a delivery."""
        assert 1 == store.unregister_worker(claimed.worker)
