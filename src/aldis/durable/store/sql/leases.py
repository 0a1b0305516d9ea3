"""The leases of workers: who holds which deliveries, and for how long.

Each function runs SQL on a connection. The store chooses the transaction.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from aldis.durable.store.sql.corrupt_rows import as_delivery
from aldis.durable.store.sql.tables import BATCH, Tables, microseconds, now
from aldis.durable.types import DEAD_AFTER, QUARANTINE_AFTER, LostWorker, RescueResult, State

__all__ = [
    "begin",
    "end",
    "end_expired",
    "one_less",
    "one_more",
    "renew",
    "rescue",
    "rescue_needed",
    "unbegun",
]

#: The largest number that the counting columns can store on every database.
LARGEST: Final = 2**31 - 1

_LOST = "the worker was lost while it had the delivery"
_LOST_FOR_GOOD = f"{DEAD_AFTER} workers were lost while they had the delivery"


def begin(connection: Connection, tables: Tables, worker: str, name: str, seconds: float) -> None:
    """Begin a lease."""
    connection.execute(
        insert(tables.workers).values(
            id=worker, name=name[:255], expires_at=now() + microseconds(seconds)
        )
    )


def renew(connection: Connection, tables: Tables, worker: str, seconds: float) -> bool:
    """Renew a lease; return false if it was taken away."""
    workers = tables.workers
    expires_at = now() + microseconds(seconds)
    renewed = update(workers).where(workers.c.id == worker).values(expires_at=expires_at)
    return connection.execute(renewed).rowcount > 0


def end(connection: Connection, tables: Tables, worker: str) -> int:
    """End a lease and release its deliveries; return their number."""
    rows, workers = tables.deliveries, tables.workers
    released = connection.execute(
        update(rows)
        .where(rows.c.worker == worker, rows.c.state == State.RUNNING)
        .values(unbegun(rows))
    )
    connection.execute(delete(workers).where(workers.c.id == worker))
    return released.rowcount


def rescue_needed(connection: Connection, tables: Tables) -> bool:
    """Return whether a lease has expired or a running delivery has no lease."""
    expired = exists().where(tables.workers.c.expires_at < now())
    return bool(connection.scalar(select(or_(expired, exists().where(_has_no_lease(tables))))))


def end_expired(connection: Connection, tables: Tables) -> tuple[LostWorker, ...]:
    """End the expired leases; return whose they were."""
    rows, workers = tables.deliveries, tables.workers
    held = (
        select(func.count())
        .where(rows.c.worker == workers.c.id, rows.c.state == State.RUNNING)
        .scalar_subquery()
    )
    expired = connection.execute(
        select(workers.c.id, workers.c.name, held)
        .where(workers.c.expires_at < now())
        .with_for_update(of=workers, skip_locked=True)
    ).all()
    if expired:
        ids = [lease for lease, *_ in expired]
        connection.execute(delete(workers).where(workers.c.id.in_(ids)))
    return tuple(LostWorker(str(name), count) for _, name, count in expired)


def rescue(connection: Connection, tables: Tables) -> RescueResult | None:
    """Take one batch of the deliveries without a lease; return ``None`` if there are none."""
    rows = tables.deliveries
    ids = connection.scalars(
        select(rows.c.id)
        .where(_has_no_lease(tables))
        # The last ones of a key come first, because a waiting delivery must not be claimed while a
        # later one seems to be running.
        .order_by(rows.c.id.desc())
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    if not ids:
        return None
    lost = case((rows.c.lost < DEAD_AFTER, rows.c.lost + 1), else_=DEAD_AFTER)
    is_dead = lost >= DEAD_AFTER
    is_quarantined = lost >= QUARANTINE_AFTER
    state = case(
        (is_dead, int(State.DEAD)),
        (is_quarantined, int(State.QUARANTINED)),
        else_=int(State.PENDING),
    )
    connection.execute(
        update(rows)
        .where(rows.c.id.in_(ids), rows.c.state == State.RUNNING)
        # MariaDB assigns one column after the other: `lost`, on which the others depend, is last.
        .ordered_values(
            (rows.c.state, state),
            (rows.c.attempts, case((is_quarantined, rows.c.attempts), else_=one_less(rows))),
            (rows.c.reason, case((is_dead, _LOST_FOR_GOOD), else_=_LOST)),
            (rows.c.finished_at, case((is_dead, now()), else_=None)),
            (rows.c.due_at, now()),
            (rows.c.worker, None),
            (rows.c.lost, lost),
        )
    )
    dead = connection.execute(
        select(rows).where(rows.c.id.in_(ids), rows.c.state == State.DEAD)
    ).mappings()
    return RescueResult(len(ids), dead=tuple(as_delivery(dict(row)) for row in dead))


def _has_no_lease(tables: Tables) -> ColumnElement[bool]:
    """A running delivery without a lease. Its worker may have claimed it as the lease expired."""
    rows, workers = tables.deliveries, tables.workers
    return and_(
        rows.c.state == State.RUNNING,
        rows.c.worker.is_not(None),
        ~exists().where(workers.c.id == rows.c.worker),
    )


def unbegun(rows: Table) -> dict[str, Any]:
    """Return the column values that make a claimed delivery pending without an attempt."""
    quarantined = rows.c.lost >= QUARANTINE_AFTER
    return {
        "state": case((quarantined, int(State.QUARANTINED)), else_=int(State.PENDING)),
        "attempts": one_less(rows),
        "worker": None,
        # It was due when it was claimed. The clock may have been set back since then.
        "due_at": case((rows.c.due_at > now(), now()), else_=rows.c.due_at),
    }


def one_more(attempts: ColumnElement[int]) -> ColumnElement[int]:
    """Return the number of attempts plus one; an impossible number becomes the largest one."""
    return case((and_(attempts >= 0, attempts < LARGEST), attempts + 1), else_=LARGEST)


def one_less(rows: Table) -> ColumnElement[int]:
    """Return the number of attempts minus one, but at least zero."""
    return case((rows.c.attempts > 0, rows.c.attempts - 1), else_=0)
