"""Deletes deliveries that ended long ago, a batch at a time between the rounds of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Final

from aldis.durable._log import get_logger
from aldis.durable.store import Store

__all__ = ["Pruner"]

_log = get_logger()

#: Seconds between the end of one search for old deliveries and the next.
PRUNE_EVERY: Final = 60.0


class Pruner:
    """Deletes deliveries that were done or discarded long ago.

    Args:
        store: The store.
        older_than: How many seconds ago a delivery must have ended.
    """

    def __init__(self, store: Store, older_than: float) -> None:
        self._store = store
        self._older_than = older_than
        self._batches: Iterator[int] | None = None
        self._count = 0
        self._ended_at = float("-inf")

    def step(self) -> bool:
        """Delete one batch if it is time; return whether there may be another one.

        Raises:
            OutboxError: The database is unavailable. The next call tries again.
        """
        if self._batches is None:
            if monotonic() - self._ended_at < PRUNE_EVERY:
                return False
            self._batches = self._store.prune(self._older_than)
        size = next(self._batches, 0)
        self._count += size
        if size:
            return True
        if self._count:
            _log.info("%d completed deliveries were pruned", self._count)
        self._batches, self._count, self._ended_at = None, 0, monotonic()
        return False
