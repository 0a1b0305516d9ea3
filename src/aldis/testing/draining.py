"""Run due deliveries in a test's own process.

::

    order_paid.send(shop, order_id=7)
    db.session.commit()
    assert drain().done == 1
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from aldis._optional import loaded
from aldis.core.sender import real_sender
from aldis.core.text import printable
from aldis.durable import Outbox, Retry
from aldis.durable.outbox import check_outbox
from aldis.durable.receiver import served_receivers
from aldis.durable.store import Store
from aldis.durable.store._async_bridge import has_async_engine
from aldis.durable.store.memory import MemoryStore
from aldis.durable.store.sql.tables import tables
from aldis.durable.types import State
from aldis.durable.worker.attempt import AttemptResult, RunContext, in_context
from aldis.durable.worker.inflight import Counts
from aldis.durable.worker.worker import WorkerLoop
from aldis.errors import AsyncReceiverError, NoSessionError, OutboxError, RetryLater

# After `aldis.durable`, which raises an error with the missing extra if SQLAlchemy is missing.
from sqlalchemy import MetaData, update  # isort: skip
from sqlalchemy.pool import SingletonThreadPool, StaticPool  # isort: skip

__all__ = ["Drained", "adrain", "drain"]

#: The duration of the lease, in seconds. No worker takes over a delivery during a test.
LEASE: Final = 3600.0

#: How often a receiver may raise ``RetryLater`` for one delivery.
MAX_POSTPONED: Final = 100

#: The states of deliveries that wait for their time.
TIMED: Final = (State.PENDING, State.QUARANTINED, State.BLOCKED)


@dataclass(slots=True)
class Drained:
    """The result of :func:`drain`.

    Attributes:
        done: How many deliveries were completed.
        failed: How many attempts failed. This includes the last attempts of dead letters.
        dead: How many deliveries became dead letters.
        later: How often a receiver raised ``RetryLater``.
        errors: The exceptions of the receivers, in order.
    """

    done: int = 0
    failed: int = 0
    dead: int = 0
    later: int = 0
    errors: list[BaseException] = field(default_factory=list)

    @property
    def attempts(self) -> int:
        """How often a receiver was called."""
        return self.done + self.failed + self.later


def drain(
    outbox: Outbox | None = None,
    *,
    app: Any = None,
    receivers: Sequence[str] | None = None,
    later: bool = False,
    raise_errors: bool = True,
) -> Drained:
    """Run all deliveries that are due, and those that become due meanwhile, as a worker does.

    The receivers run one after the other in a thread, in the context of the app. As in a worker,
    they do not see the test's context variables or session. Deliveries that are not committed do
    not run. A failed delivery waits as long as its ``Retry`` allows, and ``drain`` does not wait
    for it.

    Args:
        outbox: The outbox whose deliveries run. The default is the app's outbox.
        app: The app whose context the receivers get. The default is the current app of Flask or
            Quart, if there is one.
        receivers: The names of the receivers to run. The default is all connected receivers.
        later: Also run the deliveries that are due later, in their order, as if the time had
            passed: delayed deliveries, and the remaining attempts of failed ones.
        raise_errors: Raise the exceptions of the receivers at the end. Otherwise, they are only in
            ``Drained.errors``.

    Raises:
        ExceptionGroup: The exceptions of the receivers, unless ``raise_errors`` is false.
        NoSessionError: No app has an outbox.
        OutboxError: The database is unavailable, for example because the test has left a
            transaction open on its only connection.
        AsyncReceiverError: A receiver or the engine is async, and an event loop is running: use
            :func:`adrain`.
        UnknownNameError: No receiver has one of the names.
    """
    target = _Target.find(outbox, app)
    if target.is_async or any(each.is_async for each in served_receivers(receivers).values()):
        _refuse_running_loop()
        return asyncio.run(
            adrain(
                target.outbox,
                app=target.app,
                receivers=receivers,
                later=later,
                raise_errors=raise_errors,
            )
        )
    store = in_context(target.app_context, lambda: target.outbox.store)
    draining = _Draining(target, store, receivers, later=later)
    draining.run()
    return draining.result(raise_errors=raise_errors)


async def adrain(
    outbox: Outbox | None = None,
    *,
    app: Any = None,
    receivers: Sequence[str] | None = None,
    later: bool = False,
    raise_errors: bool = True,
) -> Drained:
    """Do what :func:`drain` does, in an async test.

    Async receivers run in the event loop of the test, each in a separate task. Sync receivers run
    in a thread.
    """
    target = _Target.find(outbox, app)
    store = await target.find_store()
    event_loop = asyncio.get_running_loop()
    draining = _Draining(target, store, receivers, later=later, event_loop=event_loop)
    running = asyncio.ensure_future(asyncio.to_thread(draining.run))
    try:
        await asyncio.shield(running)
    finally:
        draining.cancel()  # has an effect only if this task was cancelled
        await asyncio.wait([running])
    return draining.result(raise_errors=raise_errors)


def _refuse_running_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    message = "an event loop is running here: use await adrain() instead of drain()"
    raise AsyncReceiverError(message)


@dataclass(frozen=True, slots=True)
class _Target:
    """The outbox to drain, and the app whose context the receivers get."""

    outbox: Outbox
    app: Any

    @classmethod
    def find(cls, outbox: Outbox | None, app: Any) -> _Target:
        app = _current_app() if app is None else real_sender(app)
        if outbox is None:
            outbox = getattr(getattr(app, "extensions", {}).get("aldis"), "outbox", None)
        if outbox is None:
            message = (
                "there is no current app with an outbox; give the app or the outbox: "
                "drain(app=app), drain(outbox)"
            )
            raise NoSessionError(message)
        check_outbox(outbox, "drain(outbox), or drain(app=app)")
        return cls(outbox, app)

    @property
    def app_context(self) -> Callable[[], AbstractContextManager[Any]]:
        """Makes the context in which receivers are called."""
        return getattr(self.app, "app_context", nullcontext)

    @property
    def is_async(self) -> bool:
        """Whether draining needs an event loop, even if all receivers are sync."""
        return not hasattr(self.app_context(), "__enter__") or has_async_engine(
            in_context(self.app_context, lambda: self.outbox.store)
        )

    async def find_store(self) -> Store:
        """Return the store that keeps the deliveries."""
        context: Any = self.app_context()
        if hasattr(context, "__aenter__"):
            async with context:
                return self.outbox.store
        with context:
            return self.outbox.store


class _Draining:
    """Drives the loop of a worker, one delivery at a time."""

    def __init__(
        self,
        target: _Target,
        store: Store,
        only: Sequence[str] | None,
        *,
        later: bool,
        event_loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        context = RunContext(
            target.outbox,
            store,
            target.app,
            target.app_context,
            backoff=Retry.longest_delay,  # or a failed delivery could be due again at once
        )
        self._loop = WorkerLoop(
            context,
            served_receivers(only),
            Counts(),
            concurrency=1,
            lease=LEASE,
            name="drain",
            one_by_one=True,
            on_result=self._collect,
            event_loop=event_loop,
            patience=LEASE,
        )
        self._store = store
        self._later = later
        self._cancelled = False
        self._postponed: Counter[int] = Counter()
        self._drained = Drained()

    def run(self) -> None:
        """Run deliveries until none is due. Then release the deliveries that have not run."""
        try:
            while not self._cancelled:
                _check_connection(self._store)
                claims = self._loop.run_due()
                self._check_postponed()
                if claims.claimed:
                    continue
                if not self._later or claims.due_in is None:
                    break
                self._loop.call(partial(_pass_time, self._store, claims.due_in))
        finally:
            self._loop.close()

    def cancel(self) -> None:
        """Make :meth:`run` return soon."""
        self._cancelled = True
        self._loop.cancel()

    def result(self, *, raise_errors: bool) -> Drained:
        """Return the result, or raise the errors of the receivers."""
        drained = self._drained
        if drained.errors and raise_errors:
            count = len(drained.errors)
            attempts = f"{count} attempts" if count > 1 else "an attempt"
            message = f"{attempts} at durable deliveries failed, {drained.done} were done"
            raise BaseExceptionGroup(message, drained.errors)
        return drained

    def _collect(self, result: AttemptResult) -> None:
        """Count a result, and keep its error."""
        job, failure, drained = result.job, result.failure, self._drained
        if failure is None:
            drained.done += 1
            outcome = "was done already"
        else:
            drained.failed += failure.counts
            drained.later += not failure.counts
            drained.dead += failure.retry_in is None
            outcome = "is a dead letter" if failure.retry_in is None else "will be tried again"
        if isinstance(result.error, RetryLater):
            self._postponed[job.claimed.id] += 1
        elif result.error is not None:
            result.error.add_note(
                f"{printable(job.claimed.receiver)}: delivery {job.claimed.id} of "
                f"{printable(job.claimed.signal)}, attempt {job.claimed.attempt} of "
                f"{job.receiver.retry.attempts}; it {outcome}"
            )
            drained.errors.append(result.error)

    def _check_postponed(self) -> None:
        for delivery, times in self._postponed.items():
            if times >= MAX_POSTPONED:
                message = (
                    f"a durable receiver has raised RetryLater {times} times for delivery "
                    f"{delivery}; drain() would not come to an end"
                )
                raise AssertionError(message)


def _current_app() -> Any:
    for name in ("flask", "quart"):
        module = loaded(name)  # an app exists only if its framework has been imported
        if module is not None and module.has_app_context():
            return real_sender(module.current_app)
    return None


def _check_connection(store: Store) -> None:
    """Refuse an SQLite database in memory that the receivers' thread cannot use.

    Raises:
        OutboxError: The only connection is in a transaction, or each thread has its own database.
    """
    pool = getattr(getattr(store, "engine", None), "pool", None)
    if isinstance(pool, SingletonThreadPool):
        message = (
            "each thread has its own database in memory, and receivers run in another thread; make "
            "one database for all threads: create_engine('sqlite://', poolclass=StaticPool, "
            "connect_args={'check_same_thread': False})"
        )
        raise OutboxError(message)
    if isinstance(pool, StaticPool) and "connection" in vars(pool):
        raw: Any = pool.connection.dbapi_connection
        if getattr(getattr(raw, "driver_connection", raw), "in_transaction", False):
            message = (
                "the database has one connection only (StaticPool), and the test has left a "
                "transaction open on it: commit or roll back before you drain"
            )
            raise OutboxError(message)


def _pass_time(store: Any, seconds: float) -> None:
    """Make all deliveries due ``seconds`` earlier, and a little more, because clocks round."""
    seconds += 0.001
    if isinstance(store, MemoryStore):
        store.pass_time(seconds)
        return
    rows = tables(MetaData(schema=store.schema), store.prefix).deliveries
    earlier = rows.c.due_at - round(seconds * 1_000_000)
    with store.engine.begin() as connection:
        connection.execute(update(rows).where(rows.c.state.in_(TIMED)).values(due_at=earlier))
