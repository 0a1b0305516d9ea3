"""How a store gives deliveries to workers."""

# ruff: noqa: S101, SIM300 - tests put what they expect first

from __future__ import annotations

from uuid import uuid4

from aldis.durable.store import Store
from aldis.durable.types import AttemptFailure, State
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

    def test_a_breaker_pauses_a_receiver(self, store: Store) -> None:
        """A receiver that workers have paused is not due, and nothing is claimed."""
        add(store, "a")
        worker = register_worker(store)
        assert store.open_breaker(RECEIVER, 3, "ConnectionError", 60.0)
        assert not store.open_breaker(RECEIVER, 4, "KeyError", 60.0)
        assert [] == store.due([RECEIVER])
        assert [] == claim(store, worker)
        (found,) = store.breakers()
        assert (RECEIVER, 3, "ConnectionError", 0) == (
            found.receiver,
            found.failures,
            found.reason,
            found.trials,
        )
        assert 0 <= found.since < found.trial_in
        assert store.close_breaker(RECEIVER)
        assert not store.close_breaker(RECEIVER)
        assert ["a"] == names(claim(store, worker))

    def test_one_lease_at_a_time_runs_a_trial(self, store: Store) -> None:
        """The lease of a trial can claim. Another one can begin a trial only after its end."""
        add(store, "a", "b")
        worker, other = register_worker(store), register_worker(store)
        store.open_breaker(RECEIVER, 3, "ConnectionError", 0.0)
        assert store.begin_trial(worker, RECEIVER, 0.0)
        assert [] == claim(store, other)
        (taken,) = claim(store, worker, 1)
        assert not store.begin_trial(other, RECEIVER, 0.0)
        assert store.fail(taken, AttemptFailure("KeyError", retry_in=60.0))
        assert store.fail_trial(RECEIVER, "KeyError")
        (found,) = store.breakers()
        assert (1, "KeyError") == (found.trials, found.reason)
        assert store.begin_trial(other, RECEIVER, 60.0)
        assert not store.begin_trial(worker, RECEIVER, 60.0)
        assert ["b"] == names(claim(store, other))

    def test_an_operator_outranks_a_breaker(self, store: Store) -> None:
        """An operator's pause replaces one by the workers; a resume ends both."""
        worker = register_worker(store)
        store.open_breaker(RECEIVER, 3, "ConnectionError", 0.0)
        assert store.pause(RECEIVER)
        assert not store.pause(RECEIVER)
        assert [] == store.breakers()
        assert not store.begin_trial(worker, RECEIVER, 60.0)
        assert not store.fail_trial(RECEIVER, "KeyError")
        assert not store.close_breaker(RECEIVER)
        assert store.resume(RECEIVER)
        store.open_breaker(RECEIVER, 3, "ConnectionError", 0.0)
        assert store.resume(RECEIVER)
        assert [] == store.breakers()

    def test_a_pause_lets_running_deliveries_end(self, store: Store) -> None:
        """While a receiver is paused, its claimed deliveries can be completed and released."""
        add(store, "a", "b")
        a, b = claim(store, register_worker(store))
        store.pause(RECEIVER)
        assert 1 == store.complete([a])
        assert 1 == store.release([b])
        assert {"a": State.DONE, "b": State.PENDING} == states(store)
