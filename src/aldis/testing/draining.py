"""Running what is due in a test's own process.

::

    order_paid.send(shop, order_id=7)
    db.session.commit()
    assert drain().done == 1
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from aldis.core.sender import real_sender
from aldis.durable import Outbox
from aldis.durable.outbox import check_outbox
from aldis.durable.receiver import served_receivers
from aldis.durable.store import Store
from aldis.durable.store._async_bridge import call_in_greenlet, has_async_engine
from aldis.durable.store.memory import MemoryStore
from aldis.durable.store.sql.tables import tables
from aldis.durable.types import AttemptFailure, ClaimedDelivery, State
from aldis.durable.worker.running import Ran, Setting, Work, in_context, run, run_async
from aldis.errors import AsyncReceiverError, NoSessionError, OutboxError, RetryLater

# Below `aldis.durable`, which says what to install where there is no SQLAlchemy.
from sqlalchemy import MetaData, update  # isort: skip
from sqlalchemy.pool import SingletonThreadPool, StaticPool  # isort: skip

__all__ = ["Drained", "adrain", "drain"]

T = TypeVar("T")

#: Seconds for which what is drained is kept from workers, should there be any.
LEASE: Final = 3600.0

#: How often one delivery may ask for being called later.
PATIENCE: Final = 100

#: What waits for its time.
TIMED: Final = (State.PENDING, State.QUARANTINED, State.BLOCKED)


@dataclass(slots=True)
class Drained:
    """What has been run.

    Attributes:
        done: How many deliveries were completed.
        failed: How many attempts failed, those included that made a dead letter.
        dead: How many deliveries are dead letters now.
        later: How often a receiver raised ``RetryLater``.
        errors: What the receivers raised, in that order.
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
    """Run what is due, and what becomes due by it, as a worker would; return when all is done.

    Receivers run one after the other in a thread of their own, in the context of the app: like in a
    worker, they see nothing of the test's context and session. What is not committed is not there
    to be run. What has failed waits for its next attempt, the longest time that it may, and is not
    waited for.

    Args:
        outbox: Whose deliveries; by default the app's.
        app: In whose context; by default the current app of Flask or Quart, if there is one.
        receivers: The names of those to run; by default all that are connected.
        later: Run also what is due only later, in its order, as if the time had passed: delays, and
            the attempts that are left after a failure.
        raise_errors: Raise in the end what receivers have raised, as a test wants to see it.
            Without, it is in ``errors`` only.

    Raises:
        ExceptionGroup: What the receivers raised, all of it, unless ``raise_errors`` is false.
        NoSessionError: There is no app with an outbox.
        OutboxError: The database cannot be worked on: the test has left a transaction open on its
            only connection, perhaps.
        AsyncReceiverError: Something has to be awaited and this is called in an event loop: use
            :func:`adrain`.
        UnknownNameError: There is no receiver of a name.
    """
    place = _Place.find(outbox, app)
    if place.is_async or any(each.is_async for each in served_receivers(receivers).values()):
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - it asks without an exception
            message = "an event loop is running here: use await adrain() instead of drain()"
            raise AsyncReceiverError(message)
        return asyncio.run(
            adrain(
                place.outbox,
                app=place.app,
                receivers=receivers,
                later=later,
                raise_errors=raise_errors,
            )
        )
    store = in_context(place.context, lambda: place.outbox.store)
    shift = _Shift(place, store, receivers, later=later)
    with ThreadPoolExecutor(1, thread_name_prefix="aldis-drain") as thread:
        shift.begin()
        try:
            while (work := shift.take()) is not None:
                shift.settle(thread.submit(run, work, shift.setting).result())
        finally:
            shift.end()
    return shift.result(raise_errors=raise_errors)


async def adrain(
    outbox: Outbox | None = None,
    *,
    app: Any = None,
    receivers: Sequence[str] | None = None,
    later: bool = False,
    raise_errors: bool = True,
) -> Drained:
    """Do what :func:`drain` does, in a test that is async.

    Async receivers run in the event loop of the test, each in a task of its own; sync ones in a
    thread.
    """
    place = _Place.find(outbox, app)
    store = await place.find_store()
    call = call_in_greenlet if has_async_engine(store) else _call
    shift = _Shift(place, store, receivers, later=later)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="aldis-drain") as thread:
        await call(shift.begin)
        try:
            while (work := await call(shift.take)) is not None:
                if work.receiver.is_async:
                    awaitable = run_async(work, shift.setting)
                    ran = await loop.create_task(awaitable, context=Context())
                else:
                    ran = await loop.run_in_executor(thread, run, work, shift.setting)
                await call(shift.settle, ran)
        finally:
            await call(shift.end)
    return shift.result(raise_errors=raise_errors)


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose deliveries, and in whose context."""

    outbox: Outbox
    app: Any

    @classmethod
    def find(cls, outbox: Outbox | None, app: Any) -> _Place:
        app = _current_app() if app is None else real_sender(app)
        if outbox is None:
            outbox = getattr(getattr(app, "extensions", {}).get("aldis"), "outbox", None)
        if outbox is None:
            message = (
                "whose deliveries? There is no current app with an outbox; give the app, or the "
                "outbox: drain(app=app), drain(outbox)"
            )
            raise NoSessionError(message)
        check_outbox(outbox, "drain(outbox), or drain(app=app)")
        return cls(outbox, app)

    @property
    def context(self) -> Callable[[], AbstractContextManager[Any]]:
        """What makes the context in which receivers are called."""
        return getattr(self.app, "app_context", nullcontext)

    @property
    def is_async(self) -> bool:
        """Whether it needs an event loop, whatever the receivers are."""
        return not hasattr(self.context(), "__enter__") or has_async_engine(
            in_context(self.context, lambda: self.outbox.store)
        )

    async def find_store(self) -> Store:
        """Return where the deliveries are."""
        context: Any = self.context()
        if hasattr(context, "__aenter__"):
            async with context:
                return self.outbox.store
        with context:
            return self.outbox.store


class _Shift:
    """What a worker does, one delivery at a time."""

    def __init__(
        self, place: _Place, store: Store, only: Sequence[str] | None, *, later: bool
    ) -> None:
        self.setting = Setting(place.outbox, store, place.app, place.context, self._hear)
        self._store = store
        self._receivers = served_receivers(only)
        self._names = tuple(sorted(self._receivers))
        self._later = later
        self._lease = os.urandom(16).hex()
        self._heard: list[BaseException] = []
        self._postponed: Counter[int] = Counter()
        self._drained = Drained()

    def begin(self) -> None:
        """Begin the lease."""
        _check_connection(self._store)
        self._store.register_worker(self._lease, "drain", LEASE)

    def end(self) -> None:
        """End it: what was not run is as it was."""
        self._store.unregister_worker(self._lease)

    def take(self) -> Work | None:
        """Claim what is due first; ``None`` if nothing is."""
        while True:
            _check_connection(self._store)
            due = sorted(self._store.due(self._names), key=lambda each: each.seconds)
            for each in due:
                if each.seconds > 0:
                    break
                receiver = self._receivers[each.receiver]
                for claimed in self._store.claim(
                    self._lease,
                    each.receiver,
                    1,
                    ordered=receiver.key is not None,
                    exclusive=each.exclusive,
                ):
                    return Work(claimed, receiver)
            if not due or (due[0].seconds > 0 and not self._later):
                return None
            if due[0].seconds > 0:  # else it was another's, or stands behind one with its key
                _pass_time(self._store, due[0].seconds)

    def settle(self, ran: Ran) -> None:
        """Write down what became of a delivery."""
        claimed, failure, drained = ran.work.claimed, ran.failure, self._drained
        if failure is None:
            if not ran.completed:
                self._store.complete([claimed])
            drained.done += 1
            outcome = "was done already"
        else:
            self._store.fail(claimed, _without_chance(failure, ran.work))
            drained.failed += failure.counts
            drained.later += not failure.counts
            drained.dead += failure.retry_in is None
            outcome = "is a dead letter" if failure.retry_in is None else "will be tried again"
        for error in self._heard:
            error.add_note(
                f"{claimed.receiver}: delivery {claimed.id} of {claimed.signal}, attempt "
                f"{claimed.attempt} of {ran.work.receiver.retry.attempts}; it {outcome}"
            )
            drained.errors.append(error)
        self._heard.clear()
        if failure is not None and not failure.counts:
            self._note_patience(claimed)

    def result(self, *, raise_errors: bool) -> Drained:
        """Return what there is to say, or raise it."""
        drained = self._drained
        if drained.errors and raise_errors:
            count = len(drained.errors)
            attempts = f"{count} attempts" if count > 1 else "an attempt"
            message = f"{attempts} at durable deliveries failed, {drained.done} were done"
            raise BaseExceptionGroup(message, drained.errors)
        return drained

    def _hear(self, error: BaseException) -> None:
        if not isinstance(error, RetryLater):
            self._heard.append(error)

    def _note_patience(self, claimed: ClaimedDelivery) -> None:
        self._postponed[claimed.id] += 1
        if self._postponed[claimed.id] >= PATIENCE:
            message = (
                f"durable receiver {claimed.receiver!r} has asked {PATIENCE} times to be called "
                f"later with delivery {claimed.id}; drain() would not come to an end"
            )
            raise AssertionError(message)


def _current_app() -> Any:
    for name in ("flask", "quart"):
        module = sys.modules.get(name)  # who has an app has imported it
        if module is not None and module.has_app_context():
            return real_sender(module.current_app)
    return None


def _check_connection(store: Store) -> None:
    """Raise an error that says what to do, where SQLite in memory would be hard to understand.

    Raises:
        OutboxError: The only connection is in a transaction, or each thread has another one.
    """
    pool = getattr(getattr(store, "engine", None), "pool", None)
    if isinstance(pool, SingletonThreadPool):
        message = (
            "in this database in memory, each thread has its own, and receivers run in another "
            "thread; make one for all: create_engine('sqlite://', poolclass=StaticPool, "
            "connect_args={'check_same_thread': False})"
        )
        raise OutboxError(message)
    if isinstance(pool, StaticPool) and "connection" in vars(pool):
        raw: Any = pool.connection.dbapi_connection
        if getattr(getattr(raw, "driver_connection", raw), "in_transaction", False):
            message = (
                "the database has one connection only (StaticPool), and the test has a transaction "
                "open on it: commit or roll back before what is due is run"
            )
            raise OutboxError(message)


def _pass_time(store: Any, seconds: float) -> None:
    """Have everything be due ``seconds`` sooner, and a little more: clocks round."""
    seconds += 0.001
    if isinstance(store, MemoryStore):
        store.pass_time(seconds)
        return
    rows = tables(MetaData(schema=store.schema), store.prefix).deliveries
    sooner = update(rows).where(rows.c.state.in_(TIMED))
    with store.engine.begin() as connection:
        connection.execute(sooner.values(due_at=rows.c.due_at - round(seconds * 1_000_000)))


def _without_chance(failure: AttemptFailure, work: Work) -> AttemptFailure:
    """Have a delivery that failed wait for as long as it can, or it might be due again at once."""
    if failure.retry_in is None or not failure.counts:
        return failure
    return replace(failure, retry_in=work.receiver.retry.longest_delay(work.claimed.attempt))


async def _call(function: Callable[..., T], *args: Any) -> T:
    return function(*args)
