"""What a store promises to workers that run at the same time."""

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
from aldis.testing.store.helpers import RECEIVER, Clock, claim, new, register_worker

#: Seconds until a test gives up.
PATIENCE = 60.0


class RaceTests(Clock):
    """Workers in several threads."""

    def test_a_delivery_is_claimed_once(self, store: Store) -> None:
        """Four workers claim and complete every delivery exactly once."""
        total = 400
        store.add(None, [new(f"{number}") for number in range(total)])
        runs: Counter[int] = Counter()

        def work(worker: str) -> None:
            claimed = claim(store, worker, 7)
            runs.update(each.id for each in claimed)
            assert len(claimed) == store.complete(claimed)

        run_workers(store, 4, work)
        assert total == len(runs)
        assert {1} == set(runs.values())
        assert total == store.count(DeliveryFilter(states=[State.DONE]))

    def test_order_among_racing_workers(self, store: Store) -> None:
        """Each key's deliveries run one at a time and in order."""
        store.add(
            None,
            [
                new(f"{number}", order_key=key)
                for number in range(12)
                for key in ("a", "b", "c", "d", "e", None)
            ],
        )
        keys = RunningKeys()

        def work(worker: str) -> None:
            claimed = claim(store, worker, 4, ordered=True)
            with keys.running(claimed):
                pass
            store.complete(claimed)

        run_workers(store, 4, work)
        assert 72 == store.count(DeliveryFilter(states=[State.DONE]))
        assert [] == keys.overlaps
        for key in "abcde":
            assert [f"{number}" for number in range(12)] == keys.begun[key]

    def test_order_among_racing_senders(self, store: Store) -> None:
        """Deliveries running one key never overlap if transactions commit out running order."""
        total = 60
        keys = RunningKeys()
        sent = Barrier(5)

        def send(_: str) -> None:
            sent.wait(PATIENCE)
            for number in range(total // 2):
                with store.transaction() as handle:
                    store.add(handle, [new(f"{number}", order_key=f"{number % 2}")])
                    sleep(0.002)

        def work(worker: str) -> None:
            claimed = claim(store, worker, 4, ordered=True)
            with keys.running(claimed):
                pass
            store.complete(claimed)

        def run(_: str) -> None:
            sent.wait(PATIENCE)
            until = monotonic() + PATIENCE
            worker = register_worker(store)
            while store.count(DeliveryFilter(states=[State.DONE])) < total and monotonic() < until:
                work(worker)
                store.repair_order()

        run_together([send, send, run, run, run])
        assert total == store.count(DeliveryFilter(states=[State.DONE]))
        assert [] == keys.overlaps

    def test_failures_among_racing_workers(self, store: Store) -> None:
        """Despite failures and rescues, each delivery is completed exactly once."""
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

        run_workers(store, 4, work)
        assert total == store.count(DeliveryFilter(states=[State.DONE]))
        assert total == len(done)
        assert {1} == set(done.values())


class RunningKeys:
    """Records which ordering keys run at the same time, and in which order."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[str] = set()
        self.begun: dict[str, list[str]] = {}
        self.overlaps: list[str] = []

    @contextmanager
    def running(self, claimed: list[ClaimedDelivery]) -> Iterator[None]:
        """Record the keys running one worker's deliveries during a ``with`` block."""
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


def run_workers(store: Store, workers: int, work: Callable[[str], None]) -> None:
    """Call ``work`` in several worker threads until no delivery is unfinished."""
    begin = Barrier(workers)

    def run(_: str) -> None:
        worker = register_worker(store)
        begin.wait(PATIENCE)
        until = monotonic() + PATIENCE
        while monotonic() < until and unfinished(store):
            work(worker)
            store.repair_order()
        store.unregister_worker(worker)

    run_together([run] * workers)


def unfinished(store: Store) -> int:
    """Count the deliveries that have not ended."""
    waiting = [State.PENDING, State.RUNNING, State.BLOCKED, State.QUARANTINED]
    return store.count(DeliveryFilter(receiver=RECEIVER, states=waiting))


def run_together(functions: list[Callable[[str], None]]) -> None:
    """Call each function in its own thread; raise the first error."""
    with ThreadPoolExecutor(len(functions)) as pool:
        for each in [pool.submit(function, "") for function in functions]:
            each.result()
