"""Where receivers run: sync ones in threads, async ones in an event loop of their own."""

from __future__ import annotations

import asyncio
import ctypes
import logging
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, TypeVar

from aldis.durable.store._async_bridge import call_in_greenlet
from aldis.durable.worker.running import Ran, Setting, Work, judge, run, run_async
from aldis.errors import TimeLimitError

__all__ = ["LoopLane", "ThreadLanes"]

T = TypeVar("T")

_log = logging.getLogger("aldis")


class _Lane:
    """A thread that runs one delivery after the other."""

    def __init__(self, lanes: ThreadLanes) -> None:
        self._lanes = lanes
        self._lock = Lock()
        self._current: Work | None = None
        self._deadline: float | None = None
        self._left = False  # behind: another thread has taken this one's place
        self._rest: deque[Work] = deque()  # what runs here next
        self._seen: Work | None = None  # what ran here when somebody looked
        self.thread = Thread(target=self._run, name="aldis-receiver", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            chunk = self._lanes.inbox.get()
            if chunk is None:
                return
            self._rest.extend(chunk)
            while (work := self._next()) is not None:
                self._lanes.report(self._attend(work))
                if self._left:
                    self._lanes.put(self.take_rest())
                    return
            self._lanes.may_be_idle()

    def _next(self) -> Work | None:
        try:
            return self._rest.popleft()
        except IndexError:  # there was no more, or others have it
            return None

    def take_rest(self) -> list[Work]:
        """Take away what would run here next."""
        return list(iter(self._next, None))

    def is_slow(self) -> bool:
        """Tell whether the same runs here as at the last look."""
        before, self._seen = self._seen, self._current
        return before is not None and before is self._seen

    def _attend(self, work: Work) -> Ran | None:
        """Run one delivery; ``None`` if it was interrupted, and dealt with."""
        if self._lanes.stopping:
            return Ran(work, begun=False)
        limit = work.receiver.timeout
        try:
            with self._lock:
                self._current = work
                self._deadline = None if limit is None else monotonic() + limit
            ran = run(work, self._lanes.setting)
            with self._lock:  # from here on nobody interrupts
                self._current = self._deadline = None
        except TimeLimitError as error:
            self._current = self._deadline = None
            ran = Ran(work, judge(work, error))  # the receiver's own, if nobody interrupted
        return None if self._left else ran

    def overdue(self, now: float) -> Work | None:
        """Return what has been running here for too long."""
        with self._lock:
            late = self._deadline is not None and self._deadline <= now and not self._left
            return self._current if late else None

    @property
    def is_busy(self) -> bool:
        """Whether a receiver runs here."""
        return self._current is not None

    @property
    def deadline(self) -> float | None:
        """When what runs here will have been running for too long."""
        return None if self._left else self._deadline

    def interrupt(self, work: Work) -> bool:
        """Raise :class:`TimeLimitError` in the thread, when it next runs Python code.

        Returns:
            Whether ``work`` was still running here. Else it reports what became of it.
        """
        with self._lock:
            if self._current is not work or self.thread.ident is None:
                return False
            self._left = True
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self.thread.ident), ctypes.py_object(TimeLimitError)
            )
            return True


class ThreadLanes:
    """Threads that share an inbox.

    Args:
        count: How many threads.
        setting: Where their receivers run.
        report: Called in a thread with what became of a delivery.
    """

    def __init__(self, count: int, setting: Setting, report: Callable[[Ran | None], None]) -> None:
        self.setting = setting
        self.report = report
        self.stopping = False
        self.inbox: SimpleQueue[Sequence[Work] | None] = SimpleQueue()
        self._lanes = [_Lane(self) for _ in range(count)]

    def put(self, chunk: Sequence[Work]) -> None:
        """Have a thread run these, one after the other."""
        if self.stopping:
            for work in chunk:
                self.report(Ran(work, begun=False))
        elif chunk:
            self.inbox.put(chunk)

    def overdue(self) -> list[Work]:
        """Return what has been running for too long."""
        now = monotonic()
        return [work for lane in self._lanes if (work := lane.overdue(now)) is not None]

    def next_deadline(self) -> float | None:
        """Return when the next will have been running for too long."""
        return min((lane.deadline for lane in self._lanes if lane.deadline), default=None)

    def replace(self, work: Work) -> bool:
        """Interrupt the thread that runs ``work``, and have a new one take its place.

        Returns:
            Whether one did. Then ``work`` is not reported.
        """
        for number, lane in enumerate(self._lanes):
            if lane.interrupt(work):
                self._lanes[number] = _Lane(self)
                self.put(lane.take_rest())
                return True
        return False

    def share(self) -> None:
        """Have other threads run what waits behind something that runs for long."""
        for lane in self._lanes:
            if lane.is_slow():
                self.put(lane.take_rest())

    def may_be_idle(self) -> None:
        """Report that a thread has nothing to do while another one is still busy."""
        if self.inbox.empty() and any(lane.is_busy for lane in self._lanes):
            self.report(None)

    def stop(self) -> None:
        """Begin nothing any more; what was not begun is reported as such."""
        self.stopping = True
        while True:
            try:
                chunk = self.inbox.get_nowait()
            except Empty:
                break
            for work in chunk or ():
                self.report(Ran(work, begun=False))
        for _ in self._lanes:
            self.inbox.put(None)


class LoopLane:
    """An event loop in a thread, in which up to ``count`` receivers run at a time."""

    def __init__(self, count: int, setting: Setting, report: Callable[[Ran | None], None]) -> None:
        self._setting = setting
        self._report = report
        self.stopping = False
        self._room = asyncio.Semaphore(count)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = Thread(target=self._run, name="aldis-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def put(self, chunk: Sequence[Work]) -> None:
        """Have the loop run these, side by side."""
        self._loop.call_soon_threadsafe(self._begin, chunk)

    def _begin(self, chunk: Sequence[Work]) -> None:
        for work in chunk:
            task = self._loop.create_task(self._attend(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attend(self, work: Work) -> None:
        async with self._room:
            if self.stopping:
                self._report(Ran(work, begun=False))
            else:
                self._report(await run_async(work, self._setting))

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Return what ``function``, which uses an async database, returns in the loop."""
        call = call_in_greenlet(function, *args)
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def stop(self) -> None:
        """Begin nothing any more."""
        self.stopping = True

    def close(self) -> None:
        """End the loop, and what still runs there."""

        def end() -> None:
            for task in self._tasks:
                task.cancel()
            self._loop.call_soon(self._loop.stop)

        self._loop.call_soon_threadsafe(end)
        self._thread.join(5)
