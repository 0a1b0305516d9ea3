"""An event that a signal handler can set."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from time import monotonic

__all__ = ["SafeEvent"]


class SafeEvent:
    """An event as in ``threading``, without a lock.

    ``threading.Event`` holds a lock while it is set, cleared or waited for. If a ``__del__`` or a
    signal handler sets it in such a moment, its thread hangs. So does the child
    of a fork that happened in such a moment of another thread.
    """

    def __init__(self) -> None:
        self._is_set = False
        # A SimpleQueue is written in C, and its put() may interrupt its get().
        self._wakeups: SimpleQueue[None] = SimpleQueue()

    def is_set(self) -> bool:
        """Return whether the event is set."""
        return self._is_set

    def set(self) -> None:
        """Set the event, and wake the threads that wait for it."""
        self._is_set = True
        if self._wakeups.empty():
            self._wakeups.put(None)

    def clear(self) -> None:
        """Let later calls of :meth:`wait` wait until the event is set again."""
        self._is_set = False
        try:
            while True:
                self._wakeups.get_nowait()
        except Empty:
            pass

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the event is set, or for ``seconds``. Return whether it is set."""
        end = None if seconds is None else monotonic() + seconds
        while not self._is_set:
            try:
                self._wakeups.get(timeout=None if end is None else max(0.0, end - monotonic()))
            except Empty:
                return self._is_set
        if self._wakeups.empty():  # for the next thread that waits
            self._wakeups.put(None)
        return True
