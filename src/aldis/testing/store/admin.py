"""What a store promises to operators."""

# ruff: noqa: S101, SIM300, PLR2004 - tests put what they expect first, and count

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aldis.durable.store import Store
from aldis.durable.types import AttemptFailure, DeliveryFilter, State
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

OTHER = "stock.reserve"


class OperatorTests(Clock):
    """What operators see and change."""

    # -- finding ---------------------------------------------------------------------------------

    def test_stats(self, store: Store) -> None:
        """``stats`` counts each receiver's deliveries by state and finds the oldest due one."""
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

    def test_found_deliveries_are_sorted(self, store: Store) -> None:
        """``find`` sorts by id, in either direction, up to the limit."""
        add(store, "a", "b", "c")
        assert ["a", "b", "c"] == names(store.find(DeliveryFilter(), limit=10))
        assert ["a", "b"] == names(store.find(DeliveryFilter(), limit=2))
        assert ["c", "b"] == names(store.find(DeliveryFilter(), limit=2, newest_first=True))

    def test_filters_combine(self, store: Store) -> None:
        """A delivery must match every attribute of the filter."""
        first = new("a")
        store.add(None, [first, new("b"), new("c", receiver=OTHER)])
        (a,) = claim(store, register_worker(store), 1)
        for expected, where in (
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
            assert expected == "".join(names(store.find(where, limit=10))), where
            assert len(expected) == store.count(where), where

    def test_filter_by_error(self, store: Store) -> None:
        """The filter finds text in the last error, in any case, without wildcards."""
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

    def test_filters_for_pages(self, store: Store) -> None:
        """Filters choose an ordering key and a range of ids."""
        add(store, "a", "b", "c", order_key="tea")
        a, _, c = (delivery(store, each) for each in "abc")
        for expected, where in (
            ("abc", DeliveryFilter(order_key="tea")),
            ("", DeliveryFilter(order_key="Tea")),
            ("bc", DeliveryFilter(after_id=a.id)),
            ("ab", DeliveryFilter(before_id=c.id)),
            ("b", DeliveryFilter(after_id=a.id, before_id=c.id)),
        ):
            assert expected == "".join(names(store.find(where, limit=10))), where

    def test_filter_by_time(self, store: Store) -> None:
        """``since`` includes its time and ``until`` excludes it, in any time zone."""
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
        """A replayed dead letter is due now with all its attempts; others do not change."""
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

    def test_only_selected_dead_letters_are_replayed(self, store: Store) -> None:
        """A filter that selects no dead or discarded delivery replays nothing."""
        add(store, "a", "b")
        for each in claim(store, register_worker(store)):
            store.fail(each, AttemptFailure("gave up"))
        assert 0 == sum(store.replay(DeliveryFilter(states=[State.PENDING, State.DISCARDED])))
        assert 0 == sum(store.replay(DeliveryFilter(receiver=OTHER)))
        assert 1 == sum(store.replay(DeliveryFilter(ids=[delivery(store, "b").id])))
        assert {"a": State.DEAD, "b": State.PENDING} == states(store)

    def test_a_discarded_delivery_is_replayed(self, store: Store) -> None:
        """A replay undoes a discard; the delivery is due at once."""
        add(store, "a", delay=60.0)
        assert 1 == sum(store.discard(DeliveryFilter()))
        assert 1 == sum(store.replay(DeliveryFilter(states=[State.DISCARDED])))
        assert is_due(store)
        assert ["a"] == names(claim(store, register_worker(store)))

    def test_many_are_replayed(self, store: Store) -> None:
        """A replay of many batches counts each delivery once."""
        store.add(None, [new("many") for _ in range(1200)])
        assert 1200 == sum(store.discard(DeliveryFilter()))
        assert 1200 == sum(store.replay(DeliveryFilter()))
        assert 1200 == store.count(DeliveryFilter(states=[State.PENDING]))

    # -- discarding ------------------------------------------------------------------------------

    def test_a_discarded_delivery_never_runs(self, store: Store) -> None:
        """Pending, blocked and dead deliveries can be discarded; then no claim gets them."""
        add(store, "running", order_key="a")
        add(store, "dead", "done")
        worker = register_worker(store)
        _, dead, done = claim(store, worker, ordered=True)
        store.fail(dead, AttemptFailure("gave up"))
        store.complete([done])
        add(store, "blocked", order_key="a")
        assert [] == claim(store, worker, ordered=True)
        assert State.BLOCKED is state(store, "blocked")
        add(store, "pending")
        assert 3 == sum(store.discard(DeliveryFilter()))
        gone = State.DISCARDED
        expected = {"dead": gone, "blocked": gone, "pending": gone}
        assert {**expected, "running": State.RUNNING, "done": State.DONE} == states(store)
        assert delivery(store, "pending").finished_at is not None
        assert [] == claim(store, worker, ordered=True)

    def test_a_running_delivery_is_not_discarded(self, store: Store) -> None:
        """A running delivery cannot be discarded; its worker completes it."""
        add(store, "a")
        (claimed,) = claim(store, register_worker(store))
        assert 0 == sum(store.discard(DeliveryFilter()))
        assert 1 == store.complete([claimed])
        assert 0 == sum(store.discard(DeliveryFilter()))
        assert State.DONE is state(store, "a")

    # -- retention -------------------------------------------------------------------------------

    def test_prune_deletes_ended_deliveries(self, store: Store) -> None:
        """``prune`` deletes done and discarded deliveries only."""
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

    def test_prune_keeps_recent_deliveries(self, store: Store) -> None:
        """``prune`` compares the time at which a delivery ended."""
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
