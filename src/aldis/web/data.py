"""Reads and changes the deliveries of an outbox. This module needs SQLAlchemy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, Final, TypeVar

from aldis.core.process import ForkSafeLock
from aldis.durable.outbox import Outbox
from aldis.durable.store._async_bridge import call_in_greenlet
from aldis.durable.store.sql import migrate, reports
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import Delivery, DeliveryFilter, State
from aldis.errors import OutboxError

__all__ = ["BULK", "Source"]

T = TypeVar("T")

#: How many deliveries one change selects at most.
BULK: Final = reports.MOST

#: How many ids one statement names.
_STEP: Final = 500


class Source:
    """The deliveries of one outbox.

    Its methods are synchronous. If the engine of the outbox is async, they run in a separate event
    loop with separate connections.

    Args:
        name: The name that users choose it by.
        outbox: The outbox.
    """

    def __init__(self, name: str, outbox: Outbox) -> None:
        self.name: Final = name
        self._outbox = outbox
        self._store: SqlStore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = ForkSafeLock()

    def call(self, function: Callable[[SqlStore], T]) -> T:
        """Return ``function(store)``.

        Raises:
            OutboxError: The database is unavailable, or its tables do not fit.
        """
        store = self._store or self._open()
        if self._loop is None:
            return function(store)
        return self._in_loop(lambda: function(store))

    def _in_loop(self, function: Callable[[], T]) -> T:
        assert self._loop is not None  # noqa: S101 - the callers have checked it
        work = call_in_greenlet(function)
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except OSError as error:  # asyncpg raises it if the server does not answer
            message = f"the database cannot be reached: {error}"
            raise OutboxError(message) from error

    def _open(self) -> SqlStore:
        """Open the store in the request in which it is first needed: its engine may need the app.

        Raises:
            OutboxError: The outbox has no database that the dashboard can read.
        """
        with self._opening.lock:
            if self._store is not None:
                return self._store
            store = self._outbox.store
            if not isinstance(store, SqlStore):
                message = (
                    f"the outbox keeps its deliveries in a {type(store).__name__}, and the "
                    "dashboard reads deliveries in a database only"
                )
                raise OutboxError(message)
            if store.engine.dialect.is_async:
                store = self._open_loop(store)
            bound = store

            def check() -> None:
                if bound.engine.dialect.is_async:
                    with bound.engine.connect() as connection:
                        migrate.check(connection, bound.prefix, bound.schema)
                else:
                    migrate.check(bound.engine, bound.prefix, bound.schema)

            if self._loop is None:
                check()
            else:
                self._in_loop(check)
            self._store = store
            return store

    def _open_loop(self, store: SqlStore) -> SqlStore:
        own = store.with_own_connections()
        if own is None:
            message = (
                "the outbox's async engine has a single connection, which the dashboard cannot "
                "share: use a database in a file or on a server"
            )
            raise OutboxError(message)
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            Thread(target=self._loop.run_forever, name="aldis dashboard", daemon=True).start()
        return own

    # -- find ------------------------------------------------------------------------------------

    def find(
        self, where: DeliveryFilter, *, limit: int, newest_first: bool = False
    ) -> list[Delivery]:
        """Return the selected deliveries."""
        return self.call(lambda store: store.find(where, limit=limit, newest_first=newest_first))

    def read(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return ``work(connection, tables, ...)``, a function of the module ``reports``."""
        return self.call(lambda store: store.read(work, *args, **kwargs))

    def write(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return ``work(connection, tables, ...)`` from a committed transaction."""
        return self.call(lambda store: store.write(work, *args, **kwargs))

    def ids_of(self, where: DeliveryFilter) -> list[int]:
        """Return the ids of the selected deliveries, at most :data:`BULK` and one."""
        return list(self.read(reports.ids, where, limit=BULK + 1))

    # -- change ----------------------------------------------------------------------------------

    def replay(self, ids: Sequence[int]) -> int:
        """Make dead and discarded deliveries pending again; return their number."""
        return self._change(ids, lambda store, where: sum(store.replay(where)))

    def discard(self, ids: Sequence[int]) -> int:
        """Discard waiting deliveries and dead letters; return their number."""
        return self._change(ids, lambda store, where: sum(store.discard(where)))

    def _change(self, ids: Sequence[int], change: Callable[[SqlStore, DeliveryFilter], int]) -> int:
        done = 0
        for start in range(0, len(ids), _STEP):
            where = DeliveryFilter(ids=ids[start : start + _STEP])
            done += self.call(lambda store, where=where: change(store, where))  # type: ignore[misc]
        return done

    def state_of(self, delivery_id: int) -> State | None:
        """Return the state of a delivery, or ``None`` if it does not exist."""
        found = self.find(DeliveryFilter(ids=(delivery_id,)), limit=1)
        return found[0].state if found else None
