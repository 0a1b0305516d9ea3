"""How a store gives deliveries to workers."""

# ruff: noqa: S101, SIM300 - tests put what they expect first

from __future__ import annotations

from uuid import uuid4

from aldis.durable.store import Store
from aldis.durable.types import State
from aldis.testing.store.helpers import (
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
    """How a store gives deliveries to workers."""

    def test_a_delivery_has_one_worker(self, store: Store) -> None:
        """A claimed delivery is running, and no other worker can claim it."""
        add(store, "a")
        worker = register_worker(store)
        (claimed,) = claim(store, worker)
        assert (1, 0, worker) == (claimed.attempt, claimed.lost_workers, claimed.worker)
        assert [] == claim(store, register_worker(store))
        assert not is_due(store)
        seen = delivery(store, "a")
        assert (State.RUNNING, 1, worker) == (seen.state, seen.attempts, seen.worker)

    def test_a_claim_has_a_limit(self, store: Store) -> None:
        """A worker gets at most as many deliveries as it asks for."""
        add(store, "a", "b", "c")
        worker = register_worker(store)
        assert ["a", "b"] == names(claim(store, worker, 2))
        assert ["c"] == names(claim(store, worker, 2))
        assert [] == claim(store, worker, 2)

    def test_the_first_due_is_claimed_first(self, store: Store) -> None:
        """Claims follow the due times; deliveries with equal times follow their ids."""
        store.add(None, [new("third", delay=0.2), new("second", delay=0.1), new("first")])
        store.add(None, [new("last", delay=0.3), new("last but one", delay=0.3)])
        self.later(0.5)
        order = ["first", "second", "third", "last", "last but one"]
        assert order == names(claim(store, register_worker(store)))

    def test_receivers_are_separate(self, store: Store) -> None:
        """``claim`` and ``due`` compare a receiver's name exactly."""
        wanted = ["receipt", "Receipt", "receipt2", "rec_ipt"]
        for each in wanted:
            add(store, each, receiver=each)
        worker = register_worker(store)
        for each in wanted:
            assert {each} == {due.receiver for due in store.due([each, "unknown"])}
            assert [each] == names(claim(store, worker, receiver=each))
            assert [] == store.due([each])

    def test_a_claim_needs_a_lease(self, store: Store) -> None:
        """A worker that is not registered gets nothing."""
        add(store, "a")
        assert [] == claim(store, uuid4().hex)
        worker = register_worker(store)
        store.unregister_worker(worker)
        assert [] == claim(store, worker)
        assert State.PENDING is state(store, "a")

    def test_an_expired_lease_gets_nothing(self, store: Store) -> None:
        """A worker whose lease has expired gets nothing, even before a rescue."""
        add(store, "a")
        worker = register_worker(store, 0.05)
        self.later(0.15)
        assert [] == claim(store, worker)
        store.rescue()
        assert [] == claim(store, worker)
        assert State.PENDING is state(store, "a")
        assert 0 == delivery(store, "a").attempts

    def test_due_receivers_are_listed(self, store: Store) -> None:
        """``due`` returns which receivers have deliveries, and in how many seconds."""
        add(store, "a", receiver="one")
        add(store, "b", receiver="two", delay=60.0)
        add(store, "c", receiver="other")
        one, two = sorted(store.due(["one", "two", "three"]), key=lambda due: due.receiver)
        assert ("one", False) == (one.receiver, one.exclusive)
        assert one.seconds <= 0
        assert ("two", False) == (two.receiver, two.exclusive)
        assert 50 < two.seconds <= 60  # noqa: PLR2004 - the delay

    def test_a_paused_receiver_gets_nothing(self, store: Store) -> None:
        """A paused receiver's deliveries are neither due nor claimed until it is resumed."""
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

    def test_a_pause_lets_running_deliveries_end(self, store: Store) -> None:
        """While a receiver is paused, its claimed deliveries can be completed and released."""
        add(store, "a", "b")
        a, b = claim(store, register_worker(store))
        store.pause(RECEIVER)
        assert 1 == store.complete([a])
        assert 1 == store.release([b])
        assert {"a": State.DONE, "b": State.PENDING} == states(store)
