"""How a store gives deliveries to workers."""

# ruff: noqa: S101, SIM300 - tests put what they expect first

from __future__ import annotations

from uuid import uuid4

from aldis.durable.store import Store
from aldis.durable.types import State
from aldis.testing.store.steps import (
    RECEIVER,
    Clock,
    add,
    claim,
    delivery,
    is_due,
    names,
    new,
    register_worker,
    state,
    states,
)


class ClaimTests(Clock):
    """Claims."""

    def test_a_claim_takes(self, store: Store) -> None:
        """What one worker has is not given to another, and it is that worker's first attempt."""
        add(store, "a")
        worker = register_worker(store)
        (claimed,) = claim(store, worker)
        assert (1, 0, worker) == (claimed.attempt, claimed.lost_workers, claimed.worker)
        assert [] == claim(store, register_worker(store))
        assert not is_due(store)
        seen = delivery(store, "a")
        assert (State.RUNNING, 1, worker) == (seen.state, seen.attempts, seen.worker)

    def test_a_claim_has_a_limit(self, store: Store) -> None:
        """A worker gets no more than it asks for, and the rest later."""
        add(store, "a", "b", "c")
        worker = register_worker(store)
        assert ["a", "b"] == names(claim(store, worker, 2))
        assert ["c"] == names(claim(store, worker, 2))
        assert [] == claim(store, worker, 2)

    def test_what_is_due_first_comes_first(self, store: Store) -> None:
        """The order is that of the times due, and of the numbers where these are the same."""
        store.add(None, [new("third", delay=0.2), new("second", delay=0.1), new("first")])
        store.add(None, [new("last", delay=0.3), new("last but one", delay=0.3)])
        self.later(0.5)
        order = ["first", "second", "third", "last", "last but one"]
        assert order == names(claim(store, register_worker(store)))

    def test_receivers_are_kept_apart(self, store: Store) -> None:
        """A claim and what is due concern one receiver's name, to the letter."""
        wanted = ["receipt", "Receipt", "receipt2", "rec_ipt"]
        for each in wanted:
            add(store, each, receiver=each)
        worker = register_worker(store)
        for each in wanted:
            assert {each} == {due.receiver for due in store.due([each, "nobody's"])}
            assert [each] == names(claim(store, worker, receiver=each))
            assert [] == store.due([each])

    def test_nothing_is_given_without_a_lease(self, store: Store) -> None:
        """Who never had a lease, or has retired, gets nothing."""
        add(store, "a")
        assert [] == claim(store, uuid4().hex)
        worker = register_worker(store)
        store.unregister_worker(worker)
        assert [] == claim(store, worker)
        assert State.PENDING is state(store, "a")

    def test_nothing_is_given_to_a_lease_that_has_run_out(self, store: Store) -> None:
        """Who was away for longer than its lease gets nothing, also before somebody takes it."""
        add(store, "a")
        worker = register_worker(store, 0.05)
        self.later(0.15)
        assert [] == claim(store, worker)
        store.rescue()
        assert [] == claim(store, worker)
        assert State.PENDING is state(store, "a")
        assert 0 == delivery(store, "a").attempts

    def test_what_is_due_is_told(self, store: Store) -> None:
        """Workers learn which receivers have something, and in how many seconds."""
        add(store, "a", receiver="one")
        add(store, "b", receiver="two", delay=60.0)
        add(store, "c", receiver="other")
        one, two = sorted(store.due(["one", "two", "three"]), key=lambda due: due.receiver)
        assert ("one", False) == (one.receiver, one.exclusive)
        assert one.seconds <= 0
        assert ("two", False) == (two.receiver, two.exclusive)
        assert 50 < two.seconds <= 60  # noqa: PLR2004 - that of the delay

    def test_what_a_paused_receiver_has_is_held_back(self, store: Store) -> None:
        """Nothing of it is due or given until it is resumed; others are not concerned."""
        add(store, "a")
        add(store, "b", receiver="other")
        worker = register_worker(store)
        assert store.pause(RECEIVER)
        assert not store.pause(RECEIVER)
        assert ["other"] == [due.receiver for due in store.due([RECEIVER, "other"])]
        assert [] == claim(store, worker)
        assert ["b"] == names(claim(store, worker, receiver="other"))
        assert store.resume(RECEIVER)
        assert not store.resume(RECEIVER)
        assert is_due(store)
        assert ["a"] == names(claim(store, worker))

    def test_what_a_paused_receiver_runs_can_end(self, store: Store) -> None:
        """A pause keeps nobody from finishing or giving back what was claimed before."""
        add(store, "a", "b")
        a, b = claim(store, register_worker(store))
        store.pause(RECEIVER)
        assert 1 == store.complete([a])
        assert 1 == store.release([b])
        assert {"a": State.DONE, "b": State.PENDING} == states(store)
