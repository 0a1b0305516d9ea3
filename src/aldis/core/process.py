"""The process: its environment variables, and locks that cannot hang it.

Every lock of aldis is one of this module, for three reasons:

- The garbage collector may run a ``__del__`` in the middle of any operation, and Python runs a
  signal handler there, too. Both may send. A plain lock that their thread holds would hang it.
- A ``KeyboardInterrupt`` may come at any instruction of Python, and must leave no lock locked.
- The child of a fork has one thread. A lock that another thread of the parent held at that moment
  would stay locked in the child for ever, so each lock is replaced in the child.
"""

from __future__ import annotations

import functools
import os
from _thread import RLock
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import ref

if TYPE_CHECKING:
    from logging import Logger

__all__ = [
    "ForkSafeLock",
    "cached_property",
    "is_set",
    "lock_holders",
    "log",
    "renew_lock_after_fork",
]


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
    """A re-entrant lock of a module or an object: ``with _changing.lock: ...``."""

    # Without `__slots__`: eventlet finds the locks that it replaces in the `__dict__` of objects.
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


if TYPE_CHECKING:
    from functools import cached_property
else:

    class cached_property(functools.cached_property):  # noqa: N801 - it replaces the one of functools
        """A property that is computed once, without a lock.

        In Python 3.11, the property of ``functools`` holds one lock for all instances while it
        computes a value. After a fork in that moment, the child would wait for it for ever. Here,
        two threads may compute the value, and both get the first result.
        """

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            values = instance.__dict__
            if self.attrname not in values:
                return values.setdefault(self.attrname, self.func(instance))
            return values[self.attrname]


def log() -> Logger:
    """Return the logger of aldis. An error is rare, and an import of ``logging`` takes time."""
    from logging import getLogger  # noqa: PLC0415 - `import aldis` would take a third longer

    return getLogger("aldis")


_OFF: Final = frozenset({"", "0", "false", "no", "off"})


def is_set(name: str) -> bool:
    """Return whether the environment variable ``name`` switches something on.

    An empty value, ``0``, ``false``, ``no`` and ``off`` do not, in any case of letters.
    """
    return os.environ.get(name, "").strip().lower() not in _OFF
