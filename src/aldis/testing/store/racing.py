"""Several workers at one store."""

# ruff: noqa: S101, SIM300, PLR2004 - tests put what they expect first, and count

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Lock
from time import monotonic, sleep

from aldis.durable.store import Store
from aldis.durable.types import AttemptFailure, ClaimedDelivery, DeliveryFilter, State
from aldis.testing.store.steps import RECEIVER, Clock, claim, new, register_worker

#: Seconds after which a race is lost for everybody.
PATIENCE = 60.0


class RaceTests(Clock):
    """Threads that are workers."""

    def test_nothing_is_given_twice(self, store: Store) -> None:
        """Four workers share what there is: each delivery goes to one of them, none stays."""
        total = 400
        store.add(None, [new(f"{number}") for number in range(total)])
        runs: Counter[int] = Counter()

        def work(worker: str) -> None:
            claimed = claim(store, worker, 7)
            runs.update(each.id for each in claimed)
            assert len(claimed) == store.complete(claimed)

        drain(store, 4, work)
        assert total == len(runs)
        assert {1} == set(runs.values())
        assert total == store.count(DeliveryFilter(states=[State.DONE]))

    def test_keys_hold_in_a_race(self, store: Store) -> None:
        """However workers race, one key never runs twice at a time, and always in its order."""
        store.add(
            None,
            [
                new(f"{number}", order_key=key)
                for number in range(12)
                for key in ("a", "b", "c", "d", "e", None)
            ],
        )
        turns = Turns()

        def work(worker: str) -> None:
            claimed = claim(store, worker, 4, ordered=True)
            with turns.of(claimed):
                pass
            store.complete(claimed)

        drain(store, 4, work)
        assert 72 == store.count(DeliveryFilter(states=[State.DONE]))
        assert [] == turns.overlaps
        for key in "abcde":
            assert [f"{number}" for number in range(12)] == turns.begun[key]

    def test_keys_hold_while_senders_race_too(self, store: Store) -> None:
        """Transactions that are committed out of order never make one key run twice at a time."""
        total = 60
        turns = Turns()
        sent = Barrier(5)

        def send(_: str) -> None:
            sent.wait(PATIENCE)
            for number in range(total // 2):
                with store.transaction() as handle:
                    store.add(handle, [new(f"{number}", order_key=f"{number % 2}")])
                    sleep(0.002)

        def work(worker: str) -> None:
            claimed = claim(store, worker, 4, ordered=True)
            with turns.of(claimed):
                pass
            store.complete(claimed)

        def run(_: str) -> None:
            sent.wait(PATIENCE)
            until = monotonic() + PATIENCE
            worker = register_worker(store)
            while store.count(DeliveryFilter(states=[State.DONE])) < total and monotonic() < until:
                work(worker)
                store.repair_order()

        together([send, send, run, run, run])
        assert total == store.count(DeliveryFilter(states=[State.DONE]))
        assert [] == turns.overlaps

    def test_failures_and_losses_in_a_race(self, store: Store) -> None:
        """Whatever workers do at once, each delivery ends exactly once, and none is lost."""
        total = 120
        store.add(None, [new(f"{number}", order_key=f"{number % 10}") for number in range(total)])
        done: Counter[int] = Counter()

        def work(worker: str) -> None:
            for each in claim(store, worker, 5, ordered=True):
                kind = (int(each.payload) + each.attempt) % 4
                if kind == 0:
                    store.fail(each, AttemptFailure("once more", retry_in=0.0))
                elif kind == 1 and each.attempt == 1:
                    store.fail(each, AttemptFailure("later", retry_in=0.0))
                else:
                    done[each.id] += store.complete([each])
            store.rescue()

        drain(store, 4, work)
        assert total == store.count(DeliveryFilter(states=[State.DONE]))
        assert total == len(done)
        assert {1} == set(done.values())


class Turns:
    """What workers have at the same time, by key."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[str] = set()
        self.begun: dict[str, list[str]] = {}
        self.overlaps: list[str] = []

    @contextmanager
    def of(self, claimed: list[ClaimedDelivery]) -> Iterator[None]:
        """Note what one worker has, and for how long."""
        keys = [each.order_key for each in claimed if each.order_key is not None]
        with self._lock:
            self.overlaps += [key for key in keys if key in self._running]
            self.overlaps += [key for key, count in Counter(keys).items() if count > 1]
            self._running.update(keys)
            for each in claimed:
                if each.order_key is not None:
                    self.begun.setdefault(each.order_key, []).append(each.payload)
        yield
        with self._lock:
            self._running.difference_update(keys)


def drain(store: Store, workers: int, work: Callable[[str], None]) -> None:
    """Have so many threads work, each under its lease, until nothing is left to do."""
    begin = Barrier(workers)

    def run(_: str) -> None:
        worker = register_worker(store)
        begin.wait(PATIENCE)
        until = monotonic() + PATIENCE
        while monotonic() < until and left(store):
            work(worker)
            store.repair_order()
        store.unregister_worker(worker)

    together([run] * workers)


def left(store: Store) -> int:
    """Return how much is not over."""
    waiting = [State.PENDING, State.RUNNING, State.BLOCKED, State.QUARANTINED]
    return store.count(DeliveryFilter(receiver=RECEIVER, states=waiting))


def together(functions: list[Callable[[str], None]]) -> None:
    """Call functions at once, each in a thread; raise what one of them raises."""
    with ThreadPoolExecutor(len(functions)) as pool:
        for each in [pool.submit(function, "") for function in functions]:
            each.result()
