"""The process: its environment variables, and locks that are safe after a fork.

The child of a fork has one thread. A lock that another thread of the parent held at that moment
would stay locked in the child for ever, so each lock is replaced in the child.
"""

from __future__ import annotations

import os
from _thread import RLock
from typing import Final, Protocol
from weakref import ref

__all__ = ["ForkSafeLock", "is_set", "lock_holders", "renew_lock_after_fork"]


class _HasLock(Protocol):
    lock: RLock


#: The living objects with a lock. Adding and discarding are atomic, because neither calls Python.
_holders: set[ref[_HasLock]] = set()
_discard: Final = _holders.discard


def renew_lock_after_fork(holder: _HasLock) -> None:
    """Give ``holder.lock`` a re-entrant lock, and a new one in the child of each fork.

    The lock is re-entrant because the garbage collector may run a ``__del__`` that disconnects a
    receiver while the same thread connects another one. It is written in C because a signal handler
    may raise an exception at any instruction of Python, and must not leave it locked.
    """
    holder.lock = RLock()
    _holders.add(ref(holder, _discard))


class ForkSafeLock:
    """The lock of a module: ``with _changing.lock: ...``."""

    __slots__ = ("__weakref__", "lock")

    lock: RLock

    def __init__(self) -> None:
        renew_lock_after_fork(self)


def lock_holders() -> list[object]:
    """Return the living objects whose lock is renewed after a fork."""
    return [holder for each in list(_holders) if (holder := each()) is not None]


def _renew_locks() -> None:
    for each in list(_holders):
        holder = each()
        if holder is not None:
            # A new lock, not a reset one: this thread may have forked while it held the old lock.
            holder.lock = RLock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_locks)


_OFF: Final = frozenset({"", "0", "false", "no", "off"})


def is_set(name: str) -> bool:
    """Return whether the environment variable ``name`` switches something on.

    An empty value, ``0``, ``false``, ``no`` and ``off`` do not, in any case of letters.
    """
    return os.environ.get(name, "").strip().lower() not in _OFF
