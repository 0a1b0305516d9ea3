"""Shares the results of queries between all viewers."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import monotonic
from typing import Any, Final, TypeVar, cast

from aldis.core.process import ForkSafeLock

__all__ = ["Cache"]

T = TypeVar("T")

#: The most results that are kept.
MOST: Final = 200


class Cache:
    """Keeps results for a short time. If several threads want one result, one of them computes it.

    Args:
        seconds: How long a result is used.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._entries: dict[Hashable, _Entry] = {}
        self._changing = ForkSafeLock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result of ``compute()``, or an earlier one for this key."""
        with self._changing.lock:
            if len(self._entries) >= MOST:
                self._drop_old()
            entry = self._entries.setdefault(key, _Entry())
        with entry.computing.lock:
            if monotonic() - entry.at >= self._seconds:
                entry.is_computing = True
                try:
                    entry.value = compute()
                finally:
                    entry.is_computing = False
                entry.at = monotonic()
            return cast("T", entry.value)

    def clear(self) -> None:
        """Forget all results, because the data has changed."""
        with self._changing.lock:
            self._entries = {}

    def _drop_old(self) -> None:
        """Forget the results that are too old, and if all are new, all of them."""
        present = monotonic()
        self._entries = {
            key: each
            for key, each in self._entries.items()
            if present - each.at < self._seconds or each.is_computing
        }
        if len(self._entries) >= MOST:
            self._entries = {}


class _Entry:
    def __init__(self) -> None:
        self.computing = ForkSafeLock()
        self.is_computing = False
        self.at = float("-inf")
        self.value: Any = None
