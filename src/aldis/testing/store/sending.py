"""What a store does for senders."""

# ruff: noqa: S101, SIM300 - tests put what they expect first

from __future__ import annotations

from contextlib import suppress
from threading import Timer
from time import monotonic

from aldis.durable.store import Store
from aldis.durable.types import DeliveryFilter, NewDelivery, State
from aldis.testing.store.steps import (
    RECEIVER,
    Clock,
    RollBackError,
    add,
    claim,
    is_due,
    names,
    new,
    register_worker,
    states,
)

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class SenderTests(Clock):
    """Recording."""

    def test_a_new_store_can_be_used(self, store: Store) -> None:
        """It checks out, and there is nothing in it."""
        store.check()
        assert [] == store.find(DeliveryFilter(), limit=10)
        assert 0 == store.count(DeliveryFilter())
        assert [] == store.stats()
        assert [] == store.due([RECEIVER])
        assert [] == store.due([])

    def test_all_of_a_delivery_comes_back(self, store: Store) -> None:
        """A worker gets what the sender has recorded, and those who look see it."""
        text = "\u017elut\u00fd k\u016f\u0148 \U0001f40e ' \" % \\ \n"
        sent = NewDelivery("0123456789abcdef" * 2, "a.b", "paid", text, "a key", 0.0, "a:b", TRACE)
        store.add(None, [sent])
        (seen,) = store.find(DeliveryFilter(), limit=10)
        (claimed,) = claim(store, register_worker(store), receiver="a.b")
        for each in (seen, claimed):
            assert sent.key == each.key
            assert sent.emission_id == each.emission_id
            assert sent.receiver == each.receiver
            assert sent.signal == each.signal
            assert sent.payload == each.payload
            assert sent.order_key == each.order_key
            assert sent.caused_by == each.caused_by
            assert sent.traceparent == each.traceparent
        assert seen.id == claimed.id
        assert (State.PENDING, 0, 0, None) == (
            seen.state,
            seen.attempts,
            seen.lost_workers,
            seen.worker,
        )
        assert (None, None, None) == (seen.finished_at, seen.reason, seen.traceback)
        assert (1, 0) == (claimed.attempt, claimed.lost_workers)

    def test_a_long_payload_comes_back(self, store: Store) -> None:
        """A payload of a million characters is as good as any."""
        long = "\u00e9" * 1_000_000
        add(store, long)
        assert [long] == names(claim(store, register_worker(store)))

    def test_many_are_recorded_at_once(self, store: Store) -> None:
        """A thousand and one in one call are all there, in order, and nothing for none."""
        many = [f"{number}" for number in range(1001)]
        store.add(None, [])
        store.add(None, [new(each) for each in many])
        assert many == names(store.find(DeliveryFilter(), limit=2000))

    def test_what_is_committed_is_there(self, store: Store) -> None:
        """What was recorded in a transaction is there once that is committed, not before."""
        with store.transaction() as handle:
            store.add(handle, [new("a"), new("b")])
            store.add(handle, [new("c")])
            assert not is_due(store)
        assert ["a", "b", "c"] == names(claim(store, register_worker(store)))

    def test_what_is_rolled_back_was_never_there(self, store: Store) -> None:
        """Nothing of a transaction that failed is delivered, whatever else it recorded."""
        with suppress(RollBackError), store.transaction() as handle:
            store.add(handle, [new("a")])
            store.add(handle, [new("b", order_key="k")])
            raise RollBackError
        add(store, "c")
        assert {"c": State.PENDING} == states(store)
        assert ["c"] == names(claim(store, register_worker(store), ordered=True))

    def test_a_delay_is_kept(self, store: Store) -> None:
        """A delivery with a delay is not given before its time, and is given after."""
        worker = register_worker(store)
        store.add(None, [new("late", delay=self.delay), new("now")])
        assert ["now"] == names(claim(store, worker))
        (due,) = store.due([RECEIVER])
        assert 0 < due.seconds <= self.delay
        self.later(self.delay + 0.1)
        assert ["late"] == names(claim(store, worker))

    def test_a_notifier_tells_of_what_is_new(self, store: Store) -> None:
        """A worker that waits for something new does not wait for long after it is recorded."""
        notifier = store.notifier()
        try:
            notifier.wait(0.01)
            timer = Timer(0.1, add, (store, "a"))
            timer.start()
            start = monotonic()
            while not is_due(store) and monotonic() < start + 10:
                notifier.wait(10)
            assert monotonic() < start + 5
            timer.join()
        finally:
            notifier.close()

    def test_a_notifier_can_be_woken(self, store: Store) -> None:
        """Whoever ends a worker wakes it, before it waits or while it does."""
        notifier = store.notifier()
        try:
            start = monotonic()
            notifier.wake()
            notifier.wait(10)
            timer = Timer(0.1, notifier.wake)
            timer.start()
            notifier.wait(10)
            assert monotonic() < start + 5
            timer.join()
        finally:
            notifier.close()
