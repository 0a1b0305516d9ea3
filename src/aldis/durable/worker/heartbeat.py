"""The heartbeat: a worker keeps its deliveries as long as it renews its lease."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Thread
from time import monotonic

from aldis.durable._event import SafeEvent
from aldis.durable._log import get_logger
from aldis.durable.store import Store
from aldis.durable.store._async_bridge import own_connections

__all__ = ["Heartbeat", "break_stalled"]

_log = get_logger()


class Heartbeat:
    """The leases of one worker: the current one, and older ones that are still in use.

    After a database error, the worker cannot know whether its claim was committed. It abandons the
    lease and continues with a new one. It ends the old lease once it has saved the results of all
    deliveries that it knows under this lease. Deliveries that it does not know become pending
    again.

    Args:
        store: The store that keeps the leases.
        name: The worker's name, for people.
        seconds: The duration of a lease.
        unbridged: The store on its async engine, if ``store`` calls it in the receivers' loop.

    Attributes:
        abandoned: The older leases that may still be in use.
    """

    def __init__(
        self, store: Store, name: str, seconds: float, *, unbridged: Store | None = None
    ) -> None:
        self._store = store
        self._unbridged = unbridged or store
        self._renewing: Store | None = None
        self._name = name
        self._seconds = seconds
        self._renewed: dict[str, float] = {}  # when each lease was renewed
        self.abandoned: set[str] = set()
        self._current: str | None = None
        self._stop = SafeEvent()

    def start(self) -> None:
        """Renew the leases in a thread, until :meth:`stop`."""
        Thread(target=self._run, name="aldis-heartbeat", daemon=True).start()

    def lease(self) -> str:
        """Return a lease that is valid now. Register a new one if necessary."""
        current = self._current
        if current is not None:
            age = monotonic() - self._renewed.get(current, 0)
            if age < self._seconds / 2 or self._renew(self._store, current):
                return current
        lease = os.urandom(16).hex()
        asked = monotonic()
        self._store.register_worker(lease, self._name, self._seconds)
        self._renewed[lease] = asked
        self._current = lease
        return lease

    def holds(self, lease: str) -> bool:
        """Return whether a lease is certain not to have run out. Any thread may call this."""
        renewed = self._renewed.get(lease)
        return renewed is not None and monotonic() - renewed < self._seconds

    def abandon(self) -> None:
        """Claim nothing more under the current lease."""
        if self._current is not None:
            self.abandoned.add(self._current)
            self._current = None

    def end_abandoned(self, in_use: Callable[[str], bool]) -> None:
        """End the abandoned leases that are no longer in use."""
        for lease in [each for each in list(self.abandoned) if not in_use(each)]:
            self._store.unregister_worker(lease)
            self.abandoned.discard(lease)
            self._renewed.pop(lease, None)

    def overdue(self) -> float:
        """Return for how many seconds a renewal has been overdue; zero or less if none is."""
        oldest = min(list(self._renewed.values()), default=None)
        return 0.0 if oldest is None else monotonic() - oldest - self._seconds * 2 / 3

    def break_stalled(self, seconds: float) -> int:
        """Break the connection on which a renewal takes longer than ``seconds``."""
        renewing = self._renewing
        return 0 if renewing is None else break_stalled(renewing, seconds)

    def stop(self) -> int:
        """End all leases. Return how many deliveries became pending again."""
        self._stop.set()
        return sum(self._store.unregister_worker(lease) for lease in list(self._renewed))

    def _run(self) -> None:
        # The thread has a separate connection, because receivers may hold all connections of the
        # pool, or block the event loop, for longer than a lease lasts.
        with own_connections(self._unbridged, self._store) as store, store.kept_open():
            self._renewing = store
            self._try_to_renew(store, "")  # opens the connection while the pool has one
            wait = self._seconds / 3
            while not self._stop.wait(wait):
                renewed = [self._try_to_renew(store, lease) for lease in list(self._renewed)]
                wait = self._seconds / (3 if all(renewed) else 20)

    def _try_to_renew(self, store: Store, lease: str) -> bool:
        """Renew a lease; return false if the database refused."""
        try:
            self._renew(store, lease)
        except Exception as error:  # noqa: BLE001 - the next attempt may succeed
            if not self._stop.is_set():
                _log.warning("a lease could not be renewed: %s", error)
            return False
        return True

    def _renew(self, store: Store, lease: str) -> bool:
        asked = monotonic()
        if store.heartbeat(lease, self._seconds):
            self._renewed[lease] = asked
            return True
        if self._renewed.pop(lease, None) is not None:
            _log.warning(
                "a lease of this worker has run out; other workers may take its deliveries"
            )
        self.abandoned.discard(lease)
        if self._current == lease:
            self._current = None
        return False


def break_stalled(store: Store, seconds: float) -> int:
    """Break the connections on which a worker's statement takes longer than ``seconds``."""
    breaks: Callable[[float], int] | None = getattr(store, "break_stalled", None)
    return 0 if breaks is None else breaks(seconds)
