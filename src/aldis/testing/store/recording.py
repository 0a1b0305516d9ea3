"""What a store promises to senders."""

# ruff: noqa: S101, SIM300 - tests put what they expect first

from __future__ import annotations

from contextlib import suppress
from threading import Timer
from time import monotonic

from aldis.durable.store import Store
from aldis.durable.types import DeliveryFilter, NewDelivery, State
from aldis.testing.store.helpers import (
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
    """What a store promises to senders."""

    def test_a_new_store_is_ready(self, store: Store) -> None:
        """``check`` accepts a new store, and the store is empty."""
        store.check()
        assert [] == store.find(DeliveryFilter(), limit=10)
        assert 0 == store.count(DeliveryFilter())
        assert [] == store.stats()
        assert [] == store.due([RECEIVER])
        assert [] == store.due([])

    def test_every_attribute_is_kept(self, store: Store) -> None:
        """Workers and operators get every attribute that the sender recorded."""
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

    def test_a_long_payload_is_kept(self, store: Store) -> None:
        """A payload of a million characters comes back unchanged."""
        long = "\u00e9" * 1_000_000
        add(store, long)
        assert [long] == names(claim(store, register_worker(store)))

    def test_one_call_records_many(self, store: Store) -> None:
        """One call records any number of deliveries in order, including none."""
        many = [f"{number}" for number in range(1001)]
        store.add(None, [])
        store.add(None, [new(each) for each in many])
        assert many == names(store.find(DeliveryFilter(), limit=2000))

    def test_a_commit_records(self, store: Store) -> None:
        """Deliveries appear when their transaction commits, and not before."""
        with store.transaction() as handle:
            store.add(handle, [new("a"), new("b")])
            store.add(handle, [new("c")])
            assert not is_due(store)
        assert ["a", "b", "c"] == names(claim(store, register_worker(store)))

    def test_a_rollback_records_nothing(self, store: Store) -> None:
        """No delivery of a rolled-back transaction appears."""
        with suppress(RollBackError), store.transaction() as handle:
            store.add(handle, [new("a")])
            store.add(handle, [new("b", order_key="k")])
            raise RollBackError
        add(store, "c")
        assert {"c": State.PENDING} == states(store)
        assert ["c"] == names(claim(store, register_worker(store), ordered=True))

    def test_a_delayed_delivery_waits(self, store: Store) -> None:
        """A delayed delivery is claimed after its delay, and not before."""
        worker = register_worker(store)
        store.add(None, [new("late", delay=self.delay), new("now")])
        assert ["now"] == names(claim(store, worker))
        (due,) = store.due([RECEIVER])
        assert 0 < due.seconds <= self.delay
        self.later(self.delay + 0.1)
        assert ["late"] == names(claim(store, worker))

    def test_a_new_delivery_ends_the_wait(self, store: Store) -> None:
        """A worker that waits notices a new delivery soon."""
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

    def test_wake_ends_the_wait(self, store: Store) -> None:
        """``wake`` ends the present wait, or the next one."""
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
