"""Leases: a worker has its deliveries for as long as it says, again and again, that it lives."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic

from aldis.durable.store import Store

__all__ = ["Leases"]

_log = logging.getLogger("aldis")


class Leases:
    """The leases of one worker: the one under which it claims, and earlier ones still in use.

    After an error nobody knows whether a claim was committed. The worker goes on with a new lease
    then, and ends the old one when all that it knows of under it is settled: what it does not know
    of is pending again.

    Args:
        store: Where they are.
        name: Who the worker is, for people.
        seconds: How long a lease is good for.
    """

    def __init__(self, store: Store, name: str, seconds: float) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds
        self._renewed: dict[str, float] = {}
        self._stop = Event()
        self._thread = Thread(target=self._run, name="aldis-lease", daemon=True)
        self.current: str | None = None
        self._ending: set[str] = set()

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def obtain(self) -> str:
        """Return a lease that is good now, a new one if need be."""
        current = self.current
        if current is not None and monotonic() - self._renewed.get(current, 0) < self._seconds / 2:
            return current
        if current is not None and self._renew(current):
            return current
        lease = os.urandom(16).hex()
        self._store.register_worker(lease, self._name, self._seconds)
        self._renewed[lease] = monotonic()
        self.current = lease
        return lease

    def distrust(self) -> None:
        """Claim nothing more under the current lease."""
        if self.current is not None:
            self._ending.add(self.current)
            self.current = None

    def end_unused(self, in_use: Callable[[str], bool]) -> None:
        """End those old leases under which nothing runs any more."""
        for lease in [each for each in list(self._ending) if not in_use(each)]:
            self._store.unregister_worker(lease)
            self._ending.discard(lease)
            self._renewed.pop(lease, None)

    def end_all(self) -> int:
        """End every lease; return how many deliveries that has given back."""
        self._stop.set()
        return sum(self._store.unregister_worker(lease) for lease in list(self._renewed))

    def _run(self) -> None:
        # Its own connection: receivers may have all of the pool's for longer than a lease.
        with self._store.kept_open():
            self._try_to_renew("")  # which opens it, while there are some
            while not self._stop.wait(self._seconds / 3):
                for lease in list(self._renewed):
                    self._try_to_renew(lease)

    def _try_to_renew(self, lease: str) -> None:
        try:
            self._renew(lease)
        except Exception as error:  # noqa: BLE001 - the next time may be better
            _log.warning("a lease could not be renewed: %s", error)

    def _renew(self, lease: str) -> bool:
        asked = monotonic()
        if self._store.heartbeat(lease, self._seconds):
            self._renewed[lease] = asked
            return True
        if self._renewed.pop(lease, None) is not None:
            _log.warning("a lease of this worker has run out, and others may have its deliveries")
        self._ending.discard(lease)
        if self.current == lease:
            self.current = None
        return False
