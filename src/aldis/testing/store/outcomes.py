"""What becomes of what a worker has."""

# ruff: noqa: S101, SIM300, PLR2004 - tests put what they expect first, and count

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from aldis.durable.store import Store
from aldis.durable.types import AttemptFailure, State
from aldis.testing.store.steps import (
    RECEIVER,
    Clock,
    RollBackError,
    add,
    assert_lost,
    claim,
    delivery,
    is_due,
    names,
    new,
    register_worker,
    state,
    states,
)


class OutcomeTests(Clock):
    """Completion, failure, and what is given back."""

    def test_what_is_finished_is_done(self, store: Store) -> None:
        """It never runs again, and it is known when it was done."""
        add(store, "a", "b", "c")
        worker = register_worker(store)
        a, b, c = claim(store, worker)
        assert 2 == store.complete([a, b])
        assert {"a": State.DONE, "b": State.DONE, "c": State.RUNNING} == states(store)
        assert 1 == store.complete([c])
        assert 0 == store.complete([])
        done = delivery(store, "a")
        assert done.finished_at is not None
        assert done.finished_at >= done.created_at
        assert 1 == done.attempts
        assert [] == claim(store, worker)

    def test_finishing_twice_is_nothing(self, store: Store) -> None:
        """A second completion, and a failure after it, change nothing and say so."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        assert 1 == store.complete([claimed])
        assert 0 == store.complete([claimed])
        assert 0 == store.release([claimed])
        assert not store.fail(claimed, AttemptFailure("too late", retry_in=0.0))
        assert State.DONE is state(store, "a")

    def test_many_are_finished_at_once(self, store: Store) -> None:
        """A claim of more than a thousand is finished by one call."""
        store.add(None, [new("many") for _ in range(1200)])
        claimed = claim(store, register_worker(store), 2000)
        assert 1200 == len(claimed)
        assert 1200 == store.complete(claimed)
        assert 0 == store.complete(claimed)

    def test_completion_is_committed_with_the_receivers_transaction(self, store: Store) -> None:
        """It is done when the transaction in which it was completed is committed."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        with store.transaction() as session:
            assert store.complete_in(session, claimed)
        assert State.DONE is state(store, "a")
        assert 0 == store.complete([claimed])

    def test_completing_twice_in_one_transaction_is_once(self, store: Store) -> None:
        """A receiver that commits in several steps completes with the first, and with no error."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        with store.transaction() as session:
            assert store.complete_in(session, claimed)
            assert store.complete_in(session, claimed)
        assert State.DONE is state(store, "a")

    def test_completion_is_rolled_back_with_the_receivers_transaction(self, store: Store) -> None:
        """If the transaction in which it was completed fails, the worker still has it."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        with suppress(RollBackError), store.transaction() as session:
            assert store.complete_in(session, claimed)
            raise RollBackError
        assert State.RUNNING is state(store, "a")
        assert store.fail(claimed, AttemptFailure("rolled back", retry_in=0.0))
        assert State.PENDING is state(store, "a")

    def test_what_failed_is_tried_again(self, store: Store) -> None:
        """It is due again after the seconds that the failure says, as the next attempt."""
        add(store, "a")
        worker = register_worker(store)
        (claimed,) = claim(store, worker)
        assert store.fail(
            claimed, AttemptFailure("no paper", "Traceback: ...", retry_in=self.delay)
        )
        assert [] == claim(store, worker)
        seen = delivery(store, "a")
        assert (State.PENDING, 1, None) == (seen.state, seen.attempts, seen.worker)
        assert ("no paper", "Traceback: ...") == (seen.reason, seen.traceback)
        assert seen.finished_at is None
        self.later(self.delay + 0.1)
        (claimed,) = claim(store, worker)
        assert 2 == claimed.attempt

    def test_a_failure_can_be_no_attempt(self, store: Store) -> None:
        """Who only asks to be called later has not used up an attempt."""
        add(store, "a")
        worker = register_worker(store)
        for _ in range(3):
            (claimed,) = claim(store, worker)
            assert 1 == claimed.attempt
            assert store.fail(claimed, AttemptFailure("not yet", retry_in=0.0, counts=False))
            assert 0 == delivery(store, "a").attempts

    def test_what_failed_for_good_is_a_dead_letter(self, store: Store) -> None:
        """It is kept with all that is known of it, and given to nobody."""
        add(store, "a")
        worker = register_worker(store)
        (claimed,) = claim(store, worker)
        assert store.fail(claimed, AttemptFailure("gave up", "Traceback: ..."))
        dead = delivery(store, "a")
        assert (State.DEAD, 1, None) == (dead.state, dead.attempts, dead.worker)
        assert ("gave up", "Traceback: ...") == (dead.reason, dead.traceback)
        assert [] == claim(store, worker)
        assert [] == store.due([RECEIVER])

    def test_an_error_can_be_any_text(self, store: Store) -> None:
        """What no database takes is kept in some form: an error must not cost its dead letter."""
        odd = "nul \x00, half a character \udc80, a horse \U0001f40e"
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        assert store.fail(claimed, AttemptFailure(f"{odd}, and the end", odd * 10_000))
        dead = delivery(store, "a")
        assert State.DEAD is dead.state
        for part in ("nul ", ", half a character ", ", a horse \U0001f40e, and the end"):
            assert part in (dead.reason or "")

    def test_what_is_given_back_was_no_attempt(self, store: Store) -> None:
        """It is due as before, also for another worker, and nothing counts."""
        add(store, "a", "b")
        a, b = claim(store, register_worker(store))
        assert 2 == store.release([a, b])
        assert 0 == store.release([a])
        assert 0 == store.release([])
        seen = delivery(store, "a")
        assert (State.PENDING, 0, 0, None) == (
            seen.state,
            seen.attempts,
            seen.lost_workers,
            seen.worker,
        )
        assert is_due(store)
        again = claim(store, register_worker(store))
        assert ["a", "b"] == names(again)
        assert [1, 1] == [each.attempt for each in again]

    def test_only_who_has_it_can_end_it(self, store: Store) -> None:
        """Nothing that another worker says about a delivery has an effect."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        assert_lost(store, replace(claimed, worker=register_worker(store)))
        assert State.RUNNING is state(store, "a")
        assert 1 == store.complete([claimed])

    def test_an_earlier_attempt_cannot_end_a_later_one(self, store: Store) -> None:
        """A receiver that ran out of time says nothing about the same worker's next attempt."""
        add(store, "a")
        worker = register_worker(store)
        (first,) = claim(store, worker)
        assert store.fail(first, AttemptFailure("took too long", retry_in=0.0))
        (second,) = claim(store, worker)
        assert_lost(store, first)
        assert State.RUNNING is state(store, "a")
        assert 1 == store.complete([second])
