"""What a store does for operators."""

# ruff: noqa: S101, SIM300, PLR2004 - tests put what they expect first, and count

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aldis.durable.store import Store
from aldis.durable.types import AttemptFailure, DeliveryFilter, State
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

OTHER = "stock.reserve"


class OperatorTests(Clock):
    """Looking, replay, discarding and pruning."""

    # -- looking ---------------------------------------------------------------------------------

    def test_loads_are_counted(self, store: Store) -> None:
        """Each receiver's deliveries are counted by state, and the oldest that waits is told."""
        add(store, "a", "b", "c")
        add(store, "late", receiver="late", delay=60.0)
        store.pause("paused")
        worker = register_worker(store)
        a, b, _ = claim(store, worker)
        store.complete([a])
        store.fail(b, AttemptFailure("gave up"))
        add(store, "d", "e")
        self.later(0.1)
        mine, late, paused = store.stats()
        assert [RECEIVER, "late", "paused"] == [each.receiver for each in (mine, late, paused)]
        expected = {State.PENDING: 2, State.RUNNING: 1, State.DONE: 1, State.DEAD: 1}
        assert expected == mine.counts
        assert mine.oldest is not None
        assert 0.05 < mine.oldest < 30
        assert ({State.PENDING: 1}, None) == (late.counts, late.oldest)
        assert ({}, None, True) == (paused.counts, paused.oldest, paused.paused)
        assert not mine.paused
        store.resume("paused")
        assert [RECEIVER, "late"] == [each.receiver for each in store.stats()]

    def test_what_is_found_comes_by_number(self, store: Store) -> None:
        """The oldest or the newest come first, as many as are wanted."""
        add(store, "a", "b", "c")
        assert ["a", "b", "c"] == names(store.find(DeliveryFilter(), limit=10))
        assert ["a", "b"] == names(store.find(DeliveryFilter(), limit=2))
        assert ["c", "b"] == names(store.find(DeliveryFilter(), limit=2, newest_first=True))

    def test_deliveries_are_found_by_what_they_are(self, store: Store) -> None:
        """Everything that a choice says has to apply."""
        first = new("a")
        store.add(None, [first, new("b"), new("c", receiver=OTHER)])
        (a,) = claim(store, register_worker(store), 1)
        for expected, choice in (
            ("abc", DeliveryFilter()),
            ("abc", DeliveryFilter(signal="order-paid")),
            ("", DeliveryFilter(signal="order-sent")),
            ("ab", DeliveryFilter(receiver=RECEIVER)),
            ("", DeliveryFilter(receiver=RECEIVER.upper())),
            ("a", DeliveryFilter(emission_id=first.emission_id)),
            ("a", DeliveryFilter(ids=[a.id, a.id + 1000])),
            ("", DeliveryFilter(ids=[])),
            ("bc", DeliveryFilter(states=[State.PENDING])),
            ("abc", DeliveryFilter(states=[State.PENDING, State.RUNNING])),
            ("", DeliveryFilter(states=[])),
            ("b", DeliveryFilter(states=[State.PENDING], receiver=RECEIVER)),
            ("", DeliveryFilter(states=[State.PENDING], ids=[a.id])),
        ):
            assert expected == "".join(names(store.find(choice, limit=10))), choice
            assert len(expected) == store.count(choice), choice

    def test_deliveries_are_found_by_their_error(self, store: Store) -> None:
        """Text of the last error is enough, in any case, and none of it is a wildcard."""
        errors = {"a": "No Paper: 100% full", "b": "no paper", "c": "out_of ink", "d": "outlof ink"}
        add(store, *errors, "e")
        for each in claim(store, register_worker(store)):
            if each.payload in errors:
                store.fail(
                    each, AttemptFailure(errors[each.payload], f"Traceback of {each.payload}")
                )
        for text, expected in (
            ("NO PAPER", "ab"),
            ("100%", "a"),
            ("%", "a"),
            ("t_o", "c"),
            ("\\", ""),
            ("traceback OF d", "d"),
        ):
            assert expected == "".join(names(store.find(DeliveryFilter(error=text), limit=10))), (
                text
            )

    def test_deliveries_are_found_by_their_time(self, store: Store) -> None:
        """From a time on that is included, up to one that is not; in any zone."""
        for each in "abc":
            add(store, each)
            self.later(0.05)
        a, b, c = (delivery(store, each).created_at for each in "abc")
        assert a < b < c
        assert b.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - b) < timedelta(days=400_000)
        assert "bc" == "".join(names(store.find(DeliveryFilter(since=b), limit=10)))
        assert "a" == "".join(names(store.find(DeliveryFilter(until=b), limit=10)))
        assert "b" == "".join(names(store.find(DeliveryFilter(since=b, until=c), limit=10)))
        assert "bc" == "".join(names(store.find(DeliveryFilter(since=b.astimezone()), limit=10)))

    # -- replay ----------------------------------------------------------------------------------

    def test_a_dead_letter_is_replayed(self, store: Store) -> None:
        """It is due now, with all attempts again; nothing else is touched."""
        add(store, "dead", "done", "pending", "running")
        worker = register_worker(store)
        dead, done, pending, _ = claim(store, worker)
        store.fail(dead, AttemptFailure("gave up"))
        store.complete([done])
        store.fail(pending, AttemptFailure("no paper", retry_in=60.0))
        assert 1 == sum(store.replay(DeliveryFilter()))
        assert 0 == sum(store.replay(DeliveryFilter()))
        seen = delivery(store, "dead")
        assert (State.PENDING, 0, 0, None) == (
            seen.state,
            seen.attempts,
            seen.lost_workers,
            seen.finished_at,
        )
        (again,) = claim(store, worker)
        assert (dead.id, dead.key, 1) == (again.id, again.key, 1)

    def test_only_the_chosen_are_replayed(self, store: Store) -> None:
        """A choice of states that cannot be replayed chooses nothing."""
        add(store, "a", "b")
        for each in claim(store, register_worker(store)):
            store.fail(each, AttemptFailure("gave up"))
        assert 0 == sum(store.replay(DeliveryFilter(states=[State.PENDING, State.DISCARDED])))
        assert 0 == sum(store.replay(DeliveryFilter(receiver=OTHER)))
        assert 1 == sum(store.replay(DeliveryFilter(ids=[delivery(store, "b").id])))
        assert {"a": State.DEAD, "b": State.PENDING} == states(store)

    def test_what_was_discarded_can_be_replayed(self, store: Store) -> None:
        """Who discarded by mistake takes it back; a delay is over then."""
        add(store, "a", delay=60.0)
        assert 1 == sum(store.discard(DeliveryFilter()))
        assert 1 == sum(store.replay(DeliveryFilter(states=[State.DISCARDED])))
        assert is_due(store)
        assert ["a"] == names(claim(store, register_worker(store)))

    def test_many_are_replayed(self, store: Store) -> None:
        """However many there are, each is counted and replayed once."""
        store.add(None, [new("many") for _ in range(1200)])
        assert 1200 == sum(store.discard(DeliveryFilter()))
        assert 1200 == sum(store.replay(DeliveryFilter()))
        assert 1200 == store.count(DeliveryFilter(states=[State.PENDING]))

    # -- discarding ------------------------------------------------------------------------------

    def test_what_is_discarded_never_runs(self, store: Store) -> None:
        """Whatever does not run can be discarded: what is pending, behind, or a dead letter."""
        add(store, "running", order_key="a")
        add(store, "dead", "done")
        worker = register_worker(store)
        _, dead, done = claim(store, worker, ordered=True)
        store.fail(dead, AttemptFailure("gave up"))
        store.complete([done])
        add(store, "behind", order_key="a")
        assert [] == claim(store, worker, ordered=True)
        assert State.BLOCKED is state(store, "behind")
        add(store, "pending")
        assert 3 == sum(store.discard(DeliveryFilter()))
        gone = State.DISCARDED
        expected = {"dead": gone, "behind": gone, "pending": gone}
        assert {**expected, "running": State.RUNNING, "done": State.DONE} == states(store)
        assert delivery(store, "pending").finished_at is not None
        assert [] == claim(store, worker, ordered=True)

    def test_what_runs_cannot_be_discarded(self, store: Store) -> None:
        """Whoever has it completes it."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        assert 0 == sum(store.discard(DeliveryFilter()))
        assert 1 == store.complete([claimed])
        assert 0 == sum(store.discard(DeliveryFilter()))
        assert State.DONE is state(store, "a")

    # -- retention -------------------------------------------------------------------------------

    def test_what_is_over_is_pruned(self, store: Store) -> None:
        """What is done or discarded goes, and was counted before; the rest stays."""
        add(store, "done", "dead", "running", "discarded", "pending")
        worker = register_worker(store)
        done, dead, _ = claim(store, worker, 3)
        store.complete([done])
        store.fail(dead, AttemptFailure("gave up"))
        sum(store.discard(DeliveryFilter(ids=[delivery(store, "discarded").id])))
        self.later(0.1)
        assert 2 == store.count_prunable(0.05)
        assert 2 == sum(store.prune(0.05))
        assert 0 == store.count_prunable(0.05)
        assert 0 == sum(store.prune(0.05))
        assert {"dead", "running", "pending"} == set(states(store))

    def test_what_is_over_for_a_short_time_is_kept(self, store: Store) -> None:
        """The age is that of the end, not that of the beginning."""
        add(store, "old")
        worker = register_worker(store)
        store.complete(claim(store, worker))
        add(store, "new")
        self.later(self.delay + 0.1)
        store.complete(claim(store, worker))
        assert 0 == store.count_prunable(self.delay + 60.0)
        assert 0 == sum(store.prune(self.delay + 60.0))
        assert 1 == sum(store.prune(self.delay))
        assert {"new": State.DONE} == states(store)
