"""Facts about this process: its environment variables, and a lock that is new after a fork.

The child of a fork has one thread. A lock that another thread of the parent held at that moment
would stay locked in the child for ever.
"""

from __future__ import annotations

import os
from _thread import RLock
from typing import Final

__all__ = ["ForkSafeLock", "RLock", "is_set"]

_forks = 0
_renewing = RLock()


def _count_fork() -> None:
    global _forks, _renewing  # noqa: PLW0603 - facts about this process
    _forks += 1
    _renewing = RLock()


os.register_at_fork(after_in_child=_count_fork)


class ForkSafeLock:
    """A re-entrant lock for ``with lock.of_this_process():``.

    Re-entrant, because the garbage collector may run a ``__del__`` that disconnects a receiver
    while the same thread is connecting another one. No context manager itself: an exception that
    a signal handler raises (a worker's timeout) inside an ``__enter__`` written in Python would
    leave it locked.
    """

    __slots__ = ("_forks", "_lock")

    def __init__(self) -> None:
        self._lock = RLock()
        self._forks = _forks

    def of_this_process(self) -> RLock:
        """Return the lock; after a fork, a new one."""
        if self._forks != _forks:
            with _renewing:
                if self._forks != _forks:
                    self._lock = RLock()
                    self._forks = _forks
        return self._lock


_OFF: Final = frozenset({"", "0", "false", "no", "off"})


def is_set(name: str) -> bool:
    """Tell whether the environment variable ``name`` turns something on.

    ``0``, ``false``, ``no`` and ``off``, in any case, do not, nor does an empty one.
    """
    return os.environ.get(name, "").strip().lower() not in _OFF
