"""Executors: sync receivers run in threads, async receivers in an event loop."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextvars import Context
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread, get_ident
from time import monotonic
from traceback import StackSummary, format_stack
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from aldis.core.process import ForkSafeLock
from aldis.durable.store._async_bridge import call_in_greenlet
from aldis.durable.worker.attempt import (
    AttemptResult,
    RunContext,
    TimeLimitInterrupt,
    run,
    run_async,
)
from aldis.durable.worker.runs import Job

__all__ = ["AsyncExecutor", "Run", "ThreadExecutor"]

T = TypeVar("T")

#: Called in the executor's thread with a result. ``None`` means that a thread has become idle.
Report = Callable[[AttemptResult | None], None]

Holds = Callable[[Job], bool]


class Run(NamedTuple):
    """A receiver that is running.

    Attributes:
        job: The delivery and its receiver.
        since: When the receiver began.
        stack: Returns the formatted stack of its thread or task.
    """

    job: Job
    since: float
    stack: Callable[[], str]


class ThreadExecutor:
    """Threads that take jobs from one queue.

    Args:
        count: The number of threads.
        context: What all attempts have in common.
        report: Receives the results.
        holds: Returns whether a job must not start.
    """

    def __init__(self, count: int, context: RunContext, report: Report, holds: Holds) -> None:
        self.context = context
        self.holds = holds
        self.report = report
        self.stopping: bool = False
        self.queue: SimpleQueue[Sequence[Job] | None] = SimpleQueue()
        self._threads = [_ReceiverThread(self) for _ in range(count)]

    def submit(self, jobs: Sequence[Job]) -> None:
        """Let one thread run ``jobs`` one after the other."""
        if self.stopping:
            for job in jobs:
                self.report(AttemptResult(job, started=False))
        elif jobs:
            self.queue.put(jobs)

    def overdue(self) -> list[Job]:
        """Return the running jobs that have exceeded their time limit."""
        now = monotonic()
        return [job for thread in self._threads if (job := thread.overdue(now)) is not None]

    def running(self) -> list[Run]:
        """Return the running receivers."""
        return [run for thread in self._threads if (run := thread.run()) is not None]

    def next_deadline(self) -> float | None:
        """Return when the next running job will exceed its time limit."""
        deadlines = (thread.deadline for thread in self._threads)
        return min((each for each in deadlines if each is not None), default=None)

    def interrupt(self, job: Job) -> bool:
        """Interrupt the thread that runs ``job``, and start a new thread in its place.

        Returns:
            Whether the job was still running. If so, its result is not reported.
        """
        for index, thread in enumerate(self._threads):
            if thread.interrupt(job):
                self._threads[index] = _ReceiverThread(self)
                self.submit(thread.take_queued())
                return True
        return False

    def rebalance(self) -> None:
        """Let other threads run the jobs that wait behind a long-running job."""
        for thread in self._threads:
            if thread.is_stuck():
                self.submit(thread.take_queued())

    def report_idle(self) -> None:
        """Report that a thread has nothing to do while another thread is still busy."""
        if self.queue.empty() and any(thread.is_busy for thread in self._threads):
            self.report(None)

    def stop(self) -> None:
        """Start no more jobs. Jobs that have not started are reported as such."""
        self.stopping = True
        while True:
            try:
                jobs = self.queue.get_nowait()
            except Empty:
                break
            for job in jobs or ():
                self.report(AttemptResult(job, started=False))
        for _ in self._threads:
            self.queue.put(None)


class _ReceiverThread:
    """A thread that runs one job after the other."""

    def __init__(self, executor: ThreadExecutor) -> None:
        self._executor = executor
        self._changing = ForkSafeLock()
        self._current: Job | None = None
        self._deadline: float | None = None
        self._since = 0.0  # when the current job began
        self._interrupted = False  # another thread has taken the place of this one
        self._queued: deque[Job] = deque()
        self._seen: Job | None = None  # the current job at the last call of is_stuck()
        self._thread = Thread(target=self._run, name="aldis-receiver", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (jobs := self._executor.queue.get()) is not None:
            self._queued.extend(jobs)
            while (job := self._next()) is not None:
                result = self._attempt(job)
                if self._interrupted:
                    self._executor.submit(self.take_queued())
                    return
                following = result.following()
                if following is not None:
                    self._queued.append(following)
                self._executor.report(result)
            self._executor.report_idle()

    def _next(self) -> Job | None:
        try:
            return self._queued.popleft()
        except IndexError:  # there are no more jobs, or another thread has taken them
            return None

    def take_queued(self) -> list[Job]:
        """Take away the jobs that wait behind the current job."""
        return list(iter(self._next, None))

    def is_stuck(self) -> bool:
        """Tell whether the job of the previous call is still running."""
        previous, self._seen = self._seen, self._current
        return previous is not None and previous is self._seen

    def _attempt(self, job: Job) -> AttemptResult:
        if self._executor.stopping or self._executor.holds(job):
            return AttemptResult(job, started=False)
        limit = job.receiver.timeout
        try:
            with self._changing.lock:
                self._current = job
                self._since = monotonic()
                self._deadline = None if limit is None else self._since + limit
            result = run(job, self._executor.context)
            with self._changing.lock:  # from here on, interrupt() does nothing
                self._current = self._deadline = None
        except TimeLimitInterrupt:  # interrupt() has reported the attempt
            self._current = self._deadline = None
            result = AttemptResult(job)
        return result

    def run(self) -> Run | None:
        """Return the current job and its stack."""
        with self._changing.lock:
            job = self._current
            return None if job is None else Run(job, self._since, self._stack)

    def _stack(self) -> str:
        return _stack_of(self._thread.ident)

    def overdue(self, now: float) -> Job | None:
        """Return the current job if it has exceeded its time limit."""
        with self._changing.lock:
            deadline = self.deadline
            return self._current if deadline is not None and deadline <= now else None

    @property
    def is_busy(self) -> bool:
        """Whether a receiver is running."""
        return self._current is not None

    @property
    def deadline(self) -> float | None:
        """When the current job will exceed its time limit."""
        return None if self._interrupted else self._deadline

    def interrupt(self, job: Job) -> bool:
        """Raise :class:`TimeLimitInterrupt` in the thread when it next runs Python code.

        Returns:
            Whether ``job`` was still running. If not, the thread reports its result.
        """
        with self._changing.lock:
            if self._current is not job or self._thread.ident is None:
                return False
            self._interrupted = True
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(TimeLimitInterrupt)
            )
            return True


class AsyncExecutor:
    """Tasks in an event loop: its own one, in a thread, or a given one.

    Args:
        count: How many jobs run at a time.
        context: What all attempts have in common.
        report: Receives the results.
        holds: Returns whether a job must not start.
        loop: A running event loop of another thread. By default, the executor starts a loop.
    """

    def __init__(
        self,
        count: int,
        context: RunContext,
        report: Report,
        holds: Holds,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._context = context
        self._report = report
        self._holds = holds
        self._stopping = False
        self._slots = asyncio.Semaphore(count)
        self._tasks: set[asyncio.Task[None]] = set()
        self._began: dict[asyncio.Task[Any], tuple[Job, float]] = {}
        self._loop_thread = 0  # the id of the thread that runs the loop
        self._thread: Thread | None = None
        if loop is None:
            loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._run, name="aldis-loop", daemon=True)
        self._loop = loop
        if self._thread is not None:
            self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Run ``jobs`` side by side."""
        self._loop.call_soon_threadsafe(self._start, jobs)

    def _start(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            # A new context: a receiver must not see variables of the code that started the worker.
            task = self._loop.create_task(self._attempt(job), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attempt(self, job: Job) -> None:
        async with self._slots:
            if self._stopping or self._holds(job):
                self._report(AttemptResult(job, started=False))
                return
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - this is a coroutine
            self._loop_thread = get_ident()
            self._began[task] = job, monotonic()
            try:
                result = await run_async(job, self._context)
            finally:
                del self._began[task]
            following = result.following()
            if following is not None:
                self._start([following])
            self._report(result)

    def running(self) -> list[Run]:
        """Return the running receivers."""
        return [
            Run(job, since, partial(self._stack, task))
            for task, (job, since) in list(self._began.items())
        ]

    def _stack(self, task: asyncio.Task[Any]) -> str:
        """Return the stack of a task that waits, or of the thread if the task blocks the loop."""
        if asyncio.current_task(self._loop) is task:
            return _stack_of(self._loop_thread)
        return "".join(StackSummary.extract(_awaiting_frames(task.get_coro())).format())

    def call(self, function: Callable[[], T]) -> T:
        """Call a sync function that uses an async engine, in the event loop."""
        call = call_in_greenlet(function)
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def run_coroutine(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the event loop, from another thread, and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        """Start no more jobs. Jobs that have not started are reported as such."""
        self._stopping = True

    def close(self) -> None:
        """Cancel the running jobs, and end the executor's own loop."""
        self._loop.call_soon_threadsafe(self._cancel)
        if self._thread is not None:
            self._thread.join(5)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._thread is not None:
            self._loop.call_soon(self._loop.stop)


def _stack_of(thread: int | None) -> str:
    """Return the formatted stack of a thread by its id."""
    frame = sys._current_frames().get(thread or 0)  # noqa: SLF001 - Python documents it
    return "".join(format_stack(frame)) if frame is not None else "(the thread has ended)"


def _awaiting_frames(coroutine: Any) -> Iterator[tuple[FrameType, int]]:
    """Yield the frame of a coroutine, then of the one that it awaits, and so on."""
    while coroutine is not None:
        for kind in ("cr", "gi", "ag"):  # a coroutine, a generator, an async generator
            frame = getattr(coroutine, f"{kind}_frame", None)
            if frame is not None:
                yield frame, frame.f_lineno
                attribute = "gi_yieldfrom" if kind == "gi" else f"{kind}_await"
                coroutine = getattr(coroutine, attribute, None)
                break
        else:
            return
