"""The worker: what is said to it, and what it says."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Event
from typing import Any

from aldis.durable.outbox import Outbox, check_outbox
from aldis.durable.receiver import served_receivers
from aldis.durable.store import Notifier
from aldis.durable.worker.books import Counts
from aldis.durable.worker.running import Setting, in_context
from aldis.durable.worker.shift import Shift

__all__ = ["Worker"]


class Worker:
    """Runs durable deliveries until it is told to stop.

    It can be killed at any instant: what it had is delivered again. With an async engine it is to
    be in a process of its own: it has an event loop, and SQLAlchemy lets no two share an engine.

    Args:
        outbox: Whose deliveries.
        app: What a sender that was the app becomes.
        context: Makes the context in which a receiver is called; for Flask, ``app.app_context``.
        concurrency: How many sync receivers run at a time, in threads, and how many async ones, in
            an event loop.
        lease: For how many seconds the worker keeps its deliveries without saying that it lives. If
            it is frozen for longer, others take them over.
        grace: How many seconds a receiver may go on for after :meth:`stop`.
        receivers: The names of the receivers to serve; by default all.
        name: Who the worker is, for people; by default the machine and the process.

    Raises:
        UnknownNameError: There is no receiver of a name.
        OutboxError: It is no outbox.
        TypeError: ``receivers`` is text, and not a list of names.
        ValueError: A number is out of its range.
    """

    def __init__(  # noqa: PLR0913 - each says one thing, and has a default
        self,
        outbox: Outbox,
        *,
        app: Any = None,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        concurrency: int = 4,
        lease: float = 30.0,
        grace: float = 30.0,
        receivers: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        check_outbox(outbox, "Worker(outbox)")
        if concurrency < 1:
            message = f"a worker runs one receiver at a time at least: concurrency={concurrency}"
            raise ValueError(message)
        if not lease > 0:
            message = f"a lease is a number of seconds above 0, not {lease!r}"
            raise ValueError(message)
        self._outbox = outbox
        self._app = app
        self._context = context
        self._concurrency = concurrency
        self._lease = lease
        self._grace = grace
        self._only = receivers
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._stop = Event()
        self._notifier: Notifier | None = None
        self._counts = Counts()

    @property
    def done(self) -> int:
        """How many deliveries were completed."""
        return self._counts.done

    @property
    def failed(self) -> int:
        """How many attempts failed."""
        return self._counts.failed

    @property
    def given_back(self) -> int:
        """How many deliveries that it had are pending again since it stopped."""
        return self._counts.given_back

    @property
    def left_running(self) -> int:
        """How many receivers had not returned when it stopped; they are among those."""
        return self._counts.left_running

    # -- from the outside ------------------------------------------------------------------------

    def run(self) -> None:
        """Deliver until :meth:`stop` is called, in another thread.

        Raises:
            SchemaError: The outbox's tables are missing, too old or too new.
            OutboxError: The database cannot be worked on.
        """
        with self._shift() as shift:
            shift.check()
            self._notifier = shift.store.notifier()
            try:
                with shift.store.kept_open():
                    shift.work(self._notifier, self._stop)
                    shift.wind_down(lambda: self._grace)
            finally:
                notifier, self._notifier = self._notifier, None
                notifier.close()

    def stop(self) -> None:
        """Have :meth:`run` end: what runs may finish, the rest is given back. Twice is at once."""
        if self._stop.is_set():
            self._grace = 0.0
        self._stop.set()
        notifier = self._notifier
        if notifier is not None:
            notifier.wake()

    def drain(self) -> int:
        """Deliver what is due now, and what becomes due by it; return how many attempts it took."""
        with self._shift() as shift:
            return shift.drain()

    @contextmanager
    def _shift(self) -> Iterator[Shift]:
        store = in_context(self._context, lambda: self._outbox.store)
        setting = Setting(self._outbox, store, self._app, self._context)
        shift = Shift(
            setting,
            served_receivers(self._only),
            self._counts,
            concurrency=self._concurrency,
            lease=self._lease,
            name=self.name,
        )
        try:
            yield shift
        finally:
            shift.close()
