"""The order of what has the same receiver and key, in the database.

One is given to a worker only if no earlier one is unfinished and none is running. What a worker
finds blocked is put behind, so that nobody finds it again, until what it waits for has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from aldis.durable.store.sql.tables import among
from aldis.durable.types import QUARANTINE_AFTER, UNFINISHED, WAITING, State

__all__ = ["block", "clashing", "promote", "stranded", "unblock"]


def block(connection: Connection, rows: Table, found: Iterable[Any]) -> set[int]:
    """Set aside those that are blocked, which nobody else may change now; return their numbers."""
    keyed = [row.id for row in found if row.order_key is not None]
    if not keyed:
        return set()
    blocked = set(
        connection.scalars(select(rows.c.id).where(rows.c.id.in_(keyed), _is_blocked(rows)))
    )
    if blocked:
        connection.execute(
            update(rows)
            .where(rows.c.id.in_(blocked), rows.c.state.in_(WAITING))
            .values(state=State.BLOCKED)
        )
    return blocked


def clashing(rows: Table, ids: Sequence[int]) -> Select[Any]:
    """Return what finds those of running rows whose key another one runs with."""
    other = rows.alias("other")
    both = and_(_same_key(other, rows), other.c.state == State.RUNNING)
    return select(rows.c.id).where(rows.c.id.in_(ids), exists().where(both))


def promote(connection: Connection, rows: Table, ended: Iterable[Any]) -> None:
    """Free the next delivery of each key of which one has ended."""
    keys: dict[str, set[str]] = {}
    for each in ended:
        if each.order_key is not None:
            keys.setdefault(each.receiver, set()).add(each.order_key)
    for receiver, order_keys in keys.items():
        following = connection.scalars(
            select(func.min(rows.c.id))
            .where(
                rows.c.receiver == receiver,
                rows.c.order_key.in_(order_keys),
                among(rows.c.state, (State.BLOCKED,)),
            )
            .group_by(rows.c.order_key)
        ).all()
        unblock(connection, rows, following)


def stranded(rows: Table) -> Select[Any]:
    """Return what finds the rows that were put behind one that ended at that moment."""
    heads = (
        select(func.min(rows.c.id).label("id"))
        # Both in the SQL itself, for PostgreSQL's index of what is unfinished and has a key.
        .where(rows.c.order_key.is_not(None), among(rows.c.state, (State.BLOCKED,)))
        .group_by(rows.c.receiver, rows.c.order_key)
        .subquery()
    )
    return select(rows.c.id).where(rows.c.id.in_(select(heads.c.id)), ~_is_blocked(rows))


def unblock(connection: Connection, rows: Table, ids: Sequence[int]) -> int:
    """Have rows wait for a worker again; return how many were still behind."""
    if not ids:
        return 0
    suspect = rows.c.lost >= QUARANTINE_AFTER
    return connection.execute(
        update(rows)
        .where(rows.c.id.in_(ids), rows.c.state == State.BLOCKED)
        .values(state=case((suspect, int(State.QUARANTINED)), else_=int(State.PENDING)))
    ).rowcount


def _is_blocked(rows: Table) -> ColumnElement[bool]:
    """Tell whether one with the same key runs, or an earlier one is unfinished."""
    other = rows.alias("other")
    return exists().where(
        _same_key(other, rows),
        # In the SQL itself, where PostgreSQL sees that its index has all of these.
        among(other.c.state, UNFINISHED),
        or_(other.c.state == State.RUNNING, other.c.id < rows.c.id),
    )


def _same_key(other: Any, rows: Table) -> ColumnElement[bool]:
    return and_(
        other.c.receiver == rows.c.receiver,
        other.c.order_key == rows.c.order_key,
        other.c.id != rows.c.id,
    )
