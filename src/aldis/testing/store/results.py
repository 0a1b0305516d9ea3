"""What a store promises about the results of attempts."""

# ruff: noqa: S101, SIM300, PLR2004 - tests put what they expect first, and count

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from aldis.durable.store import Store
from aldis.durable.types import AttemptFailure, State
from aldis.testing.store.helpers import (
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


class ResultTests(Clock):
    """How claimed deliveries end."""

    def test_a_completed_delivery_is_done(self, store: Store) -> None:
        """A completed delivery never runs again, and the store knows when it ended."""
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

    def test_a_delivery_ends_once(self, store: Store) -> None:
        """After a completion, every other result is rejected and changes nothing."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        assert 1 == store.complete([claimed])
        assert 0 == store.complete([claimed])
        assert 0 == store.release([claimed])
        assert not store.fail(claimed, AttemptFailure("too late", retry_in=0.0))
        assert State.DONE is state(store, "a")

    def test_one_call_completes_many(self, store: Store) -> None:
        """One call completes more than a thousand deliveries."""
        store.add(None, [new("many") for _ in range(1200)])
        claimed = claim(store, register_worker(store), 2000)
        assert 1200 == len(claimed)
        assert 1200 == store.complete(claimed)
        assert 0 == store.complete(claimed)

    def test_completion_is_committed_with_the_receivers_transaction(self, store: Store) -> None:
        """A completion takes effect when the receiver's transaction commits."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        with store.transaction() as session:
            assert store.complete_in(session, claimed)
        assert State.DONE is state(store, "a")
        assert 0 == store.complete([claimed])

    def test_one_transaction_may_complete_twice(self, store: Store) -> None:
        """A second completion in the same transaction is accepted."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        with store.transaction() as session:
            assert store.complete_in(session, claimed)
            assert store.complete_in(session, claimed)
        assert State.DONE is state(store, "a")

    def test_completion_is_rolled_back_with_the_receivers_transaction(self, store: Store) -> None:
        """If the receiver's transaction rolls back, the worker still holds the delivery."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        with suppress(RollBackError), store.transaction() as session:
            assert store.complete_in(session, claimed)
            raise RollBackError
        assert State.RUNNING is state(store, "a")
        assert store.fail(claimed, AttemptFailure("rolled back", retry_in=0.0))
        assert State.PENDING is state(store, "a")

    def test_a_failed_delivery_is_retried(self, store: Store) -> None:
        """A failed delivery is due after ``retry_in`` seconds, as the next attempt."""
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

    def test_a_failure_may_not_count(self, store: Store) -> None:
        """A failure with ``counts=False`` uses up no attempt."""
        add(store, "a")
        worker = register_worker(store)
        for _ in range(3):
            (claimed,) = claim(store, worker)
            assert 1 == claimed.attempt
            assert store.fail(claimed, AttemptFailure("not yet", retry_in=0.0, counts=False))
            assert 0 == delivery(store, "a").attempts

    def test_a_failure_without_retry_is_a_dead_letter(self, store: Store) -> None:
        """A dead letter keeps its error, and no worker gets it."""
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
        """The store escapes the characters of an error that its database cannot keep."""
        odd = "nul \x00, half a character \udc80, a horse \U0001f40e"
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        assert store.fail(claimed, AttemptFailure(f"{odd}, and the end", odd * 10_000))
        dead = delivery(store, "a")
        assert State.DEAD is dead.state
        for part in ("nul ", ", half a character ", ", a horse \U0001f40e, and the end"):
            assert part in (dead.reason or "")

    def test_a_release_does_not_count(self, store: Store) -> None:
        """A released delivery is pending for any worker, and the attempt does not count."""
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

    def test_only_the_holder_can_end_it(self, store: Store) -> None:
        """The results of another worker have no effect."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        assert_lost(store, replace(claimed, worker=register_worker(store)))
        assert State.RUNNING is state(store, "a")
        assert 1 == store.complete([claimed])

    def test_an_earlier_attempt_cannot_end_a_later_one(self, store: Store) -> None:
        """The result of an earlier attempt has no effect on the worker's next attempt."""
        add(store, "a")
        worker = register_worker(store)
        (first,) = claim(store, worker)
        assert store.fail(first, AttemptFailure("took too long", retry_in=0.0))
        (second,) = claim(store, worker)
        assert_lost(store, first)
        assert State.RUNNING is state(store, "a")
        assert 1 == store.complete([second])
