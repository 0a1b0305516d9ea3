"""Leases in the database: who has which deliveries, and for how long."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
)

from aldis.durable.store.sql.connection import Database
from aldis.durable.store.sql.tables import MICRO, Tables, now
from aldis.durable.types import DEAD_AFTER, QUARANTINE_AFTER, State

__all__ = ["BATCH", "LeaseSide", "micro", "one_less", "unbegun"]

#: How many rows one statement names.
BATCH = 500

_LOST = "the worker was lost while it had the delivery"
_LOST_FOR_GOOD = f"{DEAD_AFTER} workers were lost while they had the delivery"


class LeaseSide:
    """The part of the store that leases are in: see :class:`aldis.durable.store.Store`."""

    _db: Database
    _tables: Tables
    _rows: Any

    def register_worker(self, worker: str, name: str, lease: float) -> None:
        """Begin a lease."""
        begin = insert(self._tables.workers).values(
            id=worker, name=name[:255], expires_at=now() + micro(lease)
        )
        self._db.write(lambda connection: connection.execute(begin))

    def heartbeat(self, worker: str, lease: float) -> bool:
        """Extend a lease, unless it has been taken away."""
        workers = self._tables.workers
        extend = (
            update(workers).where(workers.c.id == worker).values(expires_at=now() + micro(lease))
        )
        return self._db.write(lambda connection: connection.execute(extend).rowcount > 0)

    def unregister_worker(self, worker: str) -> int:
        """End a lease and make what it has pending again."""
        rows, workers = self._rows, self._tables.workers

        def end(connection: Connection) -> int:
            given = connection.execute(
                update(rows)
                .where(rows.c.worker == worker, rows.c.state == State.RUNNING)
                .values(unbegun(rows))
            )
            connection.execute(delete(workers).where(workers.c.id == worker))
            return given.rowcount

        return self._db.write(end)

    def rescue(self) -> int:
        """Take everything from workers whose lease has run out."""
        rows, workers = self._rows, self._tables.workers
        # Also what a worker claimed while its lease was being taken away.
        orphaned = and_(
            rows.c.state == State.RUNNING,
            rows.c.worker.is_not(None),
            ~exists().where(workers.c.id == rows.c.worker),
        )
        lost = case((rows.c.lost < DEAD_AFTER, rows.c.lost + 1), else_=DEAD_AFTER)
        dead = lost >= DEAD_AFTER
        suspect = lost >= QUARANTINE_AFTER

        def take(connection: Connection) -> int:
            connection.execute(delete(workers).where(workers.c.expires_at < now()))
            ids = connection.scalars(
                select(rows.c.id).where(orphaned).limit(BATCH).with_for_update(skip_locked=True)
            ).all()
            if not ids:
                return 0
            connection.execute(
                update(rows)
                .where(rows.c.id.in_(ids), rows.c.state == State.RUNNING)
                # MariaDB sets one after the other: what the others depend on comes last.
                .ordered_values(
                    (
                        rows.c.state,
                        case(
                            (dead, int(State.DEAD)),
                            (suspect, int(State.QUARANTINED)),
                            else_=int(State.PENDING),
                        ),
                    ),
                    (rows.c.attempts, case((suspect, rows.c.attempts), else_=one_less(rows))),
                    (rows.c.reason, case((dead, _LOST_FOR_GOOD), else_=_LOST)),
                    (rows.c.finished_at, case((dead, now()), else_=None)),
                    (rows.c.due_at, now()),
                    (rows.c.worker, None),
                    (rows.c.lost, lost),
                )
            )
            return len(ids)

        # A look first: a transaction that writes would wait for whoever writes, and for the disk.
        overdue = select(
            or_(
                exists().where(workers.c.expires_at < now()),
                exists().where(orphaned),
            )
        )
        if not self._db.read(lambda connection: connection.scalar(overdue)):
            return 0
        return sum(iter(lambda: self._db.write(take), 0))


def unbegun(rows: Any) -> dict[str, Any]:
    """Return the columns of a delivery that nobody has begun to run."""
    return {
        "state": case(
            (rows.c.lost >= QUARANTINE_AFTER, int(State.QUARANTINED)), else_=int(State.PENDING)
        ),
        "attempts": one_less(rows),
        "worker": None,
    }


def one_less(rows: Any) -> ColumnElement[int]:
    """Return the attempts of a row without the last; never fewer than none."""
    return case((rows.c.attempts > 0, rows.c.attempts - 1), else_=0)


def micro(seconds: float) -> int:
    """Return seconds as the database has them."""
    return int(seconds * MICRO)
