"""An operator's hold on the deliveries of an outbox."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aldis.cli.outboxes import (
    DatabaseError,
    Place,
    find_place,
    refusals,
    refuse_memory,
    refuse_missing_file,
)

if TYPE_CHECKING:
    from asyncio import Runner

    from sqlalchemy import Connection

    from aldis.durable.types import Delivery, DeliveryFilter, ReceiverStats

__all__ = ["Desk", "LivingWorker", "open_desk", "receivers_of_the_app"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LivingWorker:
    """A worker that has a lease.

    Attributes:
        lease: The lease's id, as in ``Delivery.worker``.
        name: Who it is, for people.
        started_at: When the lease began.
        expires_in: For how many seconds it is good; negative once it has run out.
    """

    lease: str
    name: str
    started_at: datetime
    expires_in: float


class Desk:
    """The deliveries in one database, whatever its driver.

    Args:
        place: The database.
    """

    def __init__(self, place: Place) -> None:
        from aldis.durable.store.sql.connection import Database  # noqa: PLC0415 - it needs SQLAlchemy
        from aldis.durable.store.sql.store import SqlStore  # noqa: PLC0415 - the same

        self.place = place
        self._store = SqlStore(place.engine, prefix=place.prefix, schema=place.schema)
        self._database = Database(place.engine)
        self._runner: Runner | None = None
        if place.engine.dialect.is_async:
            from asyncio import Runner  # noqa: PLC0415 - Flask imports this for all its commands

            self._runner = Runner()

    def close(self) -> None:
        """Let go of connections."""
        self._call(self.place.engine.dispose)
        if self._runner is not None:
            self._runner.close()

    # -- looking ---------------------------------------------------------------------------------

    def loads(self) -> list[ReceiverStats]:
        """Return how much there is of each receiver."""
        return self._call(self._store.stats)

    def count(self, choice: DeliveryFilter) -> int:
        """Return how many are chosen."""
        return self._call(lambda: self._store.count(choice))

    def find(
        self, choice: DeliveryFilter, limit: int, *, newest_first: bool = False
    ) -> list[Delivery]:
        """Return the chosen deliveries."""
        return self._call(lambda: self._store.find(choice, limit=limit, newest_first=newest_first))

    def count_prunable(self, older_than: float) -> int:
        """Return how many would be pruned."""
        return self._call(lambda: self._store.count_prunable(older_than))

    def now(self) -> datetime:
        """Return the database's time."""
        from sqlalchemy import select  # noqa: PLC0415 - may be missing

        from aldis.durable.store.sql.corrupt_rows import as_moment  # noqa: PLC0415 - the same
        from aldis.durable.store.sql.tables import now  # noqa: PLC0415 - the same

        return as_moment(self._read(lambda connection: connection.scalar(select(now()))))

    def workers(self) -> list[LivingWorker]:
        """Return the workers that have a lease, by name."""
        from sqlalchemy import MetaData, select  # noqa: PLC0415 - may be missing

        from aldis.durable.store.sql.corrupt_rows import as_moment  # noqa: PLC0415 - the same
        from aldis.durable.store.sql.tables import now, tables  # noqa: PLC0415 - the same

        workers = tables(MetaData(schema=self.place.schema), self.place.prefix).workers
        chosen = select(
            workers.c.id, workers.c.name, workers.c.started_at, workers.c.expires_at, now()
        ).order_by(workers.c.name, workers.c.started_at)
        rows = self._read(lambda connection: connection.execute(chosen).all())
        return [
            LivingWorker(
                str(lease),
                str(name),
                as_moment(started),
                (as_moment(expires) - as_moment(present)).total_seconds(),
            )
            for lease, name, started, expires, present in rows
        ]

    # -- changing --------------------------------------------------------------------------------

    def replay(self, choice: DeliveryFilter) -> Iterator[int]:
        """Make the chosen pending again, batch after batch."""
        return self._steps(lambda: self._store.replay(choice))

    def discard(self, choice: DeliveryFilter) -> Iterator[int]:
        """Have the chosen never run, batch after batch."""
        return self._steps(lambda: self._store.discard(choice))

    def prune(self, older_than: float) -> Iterator[int]:
        """Delete what is over, batch after batch."""
        return self._steps(lambda: self._store.prune(older_than))

    def pause(self, receiver: str) -> bool:
        """Hold a receiver back; false if it was already."""
        return self._call(lambda: self._store.pause(receiver))

    def resume(self, receiver: str) -> bool:
        """Let a receiver go on; false if it was not held back."""
        return self._call(lambda: self._store.resume(receiver))

    # -- how -------------------------------------------------------------------------------------

    def _steps(self, begin: Callable[[], Iterator[int]]) -> Iterator[int]:
        steps = self._call(begin)
        while (done := self._call(lambda: next(steps, None))) is not None:
            yield done

    def _read(self, look: Callable[[Connection], Any]) -> Any:
        return self._call(lambda: self._database.read(look))

    def _call(self, function: Callable[[], T]) -> T:
        """Call what uses the database, in an event loop if its driver wants one.

        Raises:
            DatabaseError: The database refuses.
        """
        with refusals():
            if self._runner is None:
                return function()
            from aldis.durable.store._async_bridge import call_in_greenlet  # noqa: PLC0415 - see above

            try:
                return self._runner.run(call_in_greenlet(function))
            except OSError as error:  # asyncpg's, of a server that is not there
                message = f"the database {self.place.address} cannot be reached: {error}"
                raise DatabaseError(message) from error


@contextmanager
def open_desk(ctx: click.Context, **named: Any) -> Iterator[Desk]:
    """Give the deliveries that the command line names, in tables that fit this aldis.

    Args:
        ctx: Where ``--app`` has left its value.
        **named: What :func:`find_place` takes.

    Raises:
        DatabaseError: They cannot be had.
        AppError: The app cannot be had.
    """
    with refusals():
        place = find_place(ctx, **named)
        refuse_memory(place, "is seen by the process of the app alone")
        refuse_missing_file(place)
        from aldis.durable.store.sql.migrate import check  # noqa: PLC0415 - it needs SQLAlchemy

        desk = Desk(place)
    try:
        with refusals():
            place.call(lambda bind: check(bind, place.prefix, place.schema))
        yield desk
    finally:
        desk.close()


def receivers_of_the_app() -> set[str]:
    """Return the names and aliases of the durable receivers that the app has."""
    receivers: Any = sys.modules.get("aldis.durable.receiver")
    return set() if receivers is None else set(receivers.receivers_by_name())
