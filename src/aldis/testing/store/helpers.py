"""Helpers for the tests of a store."""

# ruff: noqa: S101, SIM300 - tests put what they expect first

from __future__ import annotations

from collections.abc import Iterable
from time import sleep
from typing import Any, Final
from uuid import uuid4

from aldis.durable.store import Store
from aldis.durable.types import (
    AttemptFailure,
    ClaimedDelivery,
    Delivery,
    DeliveryFilter,
    NewDelivery,
    State,
)

__all__ = [
    "RECEIVER",
    "Clock",
    "RollBackError",
    "add",
    "assert_lost",
    "claim",
    "delivery",
    "is_due",
    "names",
    "new",
    "register_worker",
    "run_all",
    "state",
    "states",
]

#: The receiver of deliveries, if a test does not need another one.
RECEIVER: Final = "billing.receipt"


class RollBackError(Exception):
    """Rolls back a transaction of a test."""


class Clock:
    """Lets time pass for the tests."""

    #: The delays in the tests, in seconds: longer than a few statements on a slow disk.
    delay: float = 1.0

    def later(self, seconds: float) -> None:
        """Return when the store's clock is ``seconds`` later."""
        sleep(seconds)

    def lose(self, store: Store, worker: str) -> int:
        """Let a lease expire and rescue its deliveries; return their number."""
        store.heartbeat(worker, 0.01)
        self.later(0.05)
        return store.rescue().deliveries


def new(name: str, *, receiver: str = RECEIVER, **more: Any) -> NewDelivery:
    """Return a delivery whose payload is ``name``."""
    return NewDelivery(uuid4().hex, receiver, "order-paid", name, **more)


def add(store: Store, *named: str, **more: Any) -> None:
    """Record deliveries, each in a new transaction."""
    for name in named:
        store.add(None, [new(name, **more)])


def register_worker(store: Store, lease: float = 60.0) -> str:
    """Register a worker and return its lease."""
    worker = uuid4().hex
    store.register_worker(worker, "a test", lease)
    return worker


def claim(
    store: Store, worker: str, limit: int = 100, *, receiver: str = RECEIVER, **more: Any
) -> list[ClaimedDelivery]:
    """Claim deliveries; the claim is not ordered by default."""
    return store.claim(worker, receiver, limit, **{"ordered": False, **more})


def names(found: Iterable[ClaimedDelivery | Delivery]) -> list[str]:
    """Return the names of deliveries."""
    return [each.payload for each in found]


def delivery(store: Store, name: str) -> Delivery:
    """Return the delivery with a name."""
    (found,) = (each for each in store.find(DeliveryFilter(), limit=1000) if each.payload == name)
    return found


def state(store: Store, name: str) -> State:
    """Return the state of the delivery with a name."""
    return delivery(store, name).state


def states(store: Store) -> dict[str, State]:
    """Return the states of all deliveries by name."""
    return {each.payload: each.state for each in store.find(DeliveryFilter(), limit=1000)}


def is_due(store: Store, receiver: str = RECEIVER) -> bool:
    """Return whether a receiver has a delivery that is due now."""
    return any(each.seconds <= 0 for each in store.due([receiver]))


def run_all(store: Store, worker: str, *, ordered: bool, receiver: str = RECEIVER) -> list[str]:
    """Claim and complete until nothing is due; return the names in the order of claims."""
    order: list[str] = []
    # A claim may be empty while a delivery is due, because the claim blocks deliveries.
    for _ in range(1000):
        claimed = claim(store, worker, receiver=receiver, ordered=ordered)
        order += names(claimed)
        store.complete(claimed)
        if not claimed and not is_due(store, receiver):
            return order
    message = f"{receiver} is still due after a thousand claims; so far: {order}"
    raise AssertionError(message)


def assert_lost(store: Store, claimed: ClaimedDelivery) -> None:
    """Check that the store rejects every result of a lost delivery."""
    assert 0 == store.complete([claimed])
    assert 0 == store.release([claimed])
    assert not store.fail(claimed, AttemptFailure("lost", retry_in=0.0))
    assert not store.fail(claimed, AttemptFailure("lost"))
    with store.transaction() as session:
        assert not store.complete_in(session, claimed)
