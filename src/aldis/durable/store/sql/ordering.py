"""The order of deliveries with the same receiver and ordering key.

A worker gets a delivery only if its key has no earlier unfinished delivery and none that is
running. A claim marks the other deliveries as blocked, so that no claim finds them again before
the delivery that blocks them has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
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

from aldis.durable.store.sql.tables import BATCH, UNTRANSLATED, among
from aldis.durable.types import QUARANTINE_AFTER, UNFINISHED, WAITING, State

__all__ = [
    "block",
    "clashing",
    "has_wrongly_blocked",
    "unblock_next",
    "unblock_wrongly_blocked",
]


def block(connection: Connection, rows: Table, found: Iterable[Any]) -> set[int]:
    """Mark those of the locked rows that must wait as blocked; return their ids."""
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


def clashing(connection: Connection, rows: Table, ids: Sequence[int]) -> set[int]:
    """Return the running deliveries that share their ordering key with another running one."""
    other = rows.alias("other")
    both = and_(_same_key(other, rows), other.c.state == State.RUNNING)
    found = select(rows.c.id).where(rows.c.id.in_(ids), exists().where(both))
    return set(connection.scalars(found))


def unblock_next(connection: Connection, rows: Table, ended: Iterable[Any]) -> int:
    """Unblock the next delivery of every key that just finished one; return their number."""
    keys: dict[str, set[str]] = {}
    for each in ended:
        if each.order_key is not None:
            keys.setdefault(each.receiver, set()).add(each.order_key)
    count = 0
    for receiver, order_keys in keys.items():
        following = connection.scalars(
            select(func.min(rows.c.id))
            .where(
                rows.c.receiver == receiver,
                rows.c.order_key.in_(order_keys),
                among(rows.c.state, (State.BLOCKED,)),
            )
            .group_by(rows.c.order_key),
            execution_options=UNTRANSLATED,
        ).all()
        count += _unblock(connection, rows, following)
    return count


def has_wrongly_blocked(connection: Connection, rows: Table) -> bool:
    """Return whether a delivery is blocked although nothing blocks it."""
    return connection.scalars(_wrongly_blocked(rows).limit(1)).first() is not None


def unblock_wrongly_blocked(connection: Connection, rows: Table) -> int:
    """Unblock one batch of deliveries that nothing blocks; return its size.

    A claim can block a delivery at the moment at which the earlier delivery ends.
    """
    return _unblock(connection, rows, connection.scalars(_wrongly_blocked(rows).limit(BATCH)).all())


def _wrongly_blocked(rows: Table) -> Select[Any]:
    heads = (
        select(func.min(rows.c.id).label("id"))
        # The state is part of the SQL, so that PostgreSQL uses its partial index.
        .where(rows.c.order_key.is_not(None), among(rows.c.state, (State.BLOCKED,)))
        .group_by(rows.c.receiver, rows.c.order_key)
        .subquery()
    )
    return select(rows.c.id).where(rows.c.id.in_(select(heads.c.id)), ~_is_blocked(rows))


def _unblock(connection: Connection, rows: Table, ids: Sequence[int]) -> int:
    if not ids:
        return 0
    quarantined = rows.c.lost >= QUARANTINE_AFTER
    return connection.execute(
        update(rows)
        .where(rows.c.id.in_(ids), rows.c.state == State.BLOCKED)
        .values(state=case((quarantined, int(State.QUARANTINED)), else_=int(State.PENDING))),
        execution_options=UNTRANSLATED,
    ).rowcount


def _is_blocked(rows: Table) -> ColumnElement[bool]:
    """Another delivery with the same key is running, or an earlier one is unfinished."""
    other = rows.alias("other")
    return exists().where(
        _same_key(other, rows),
        # The states are part of the SQL, so that PostgreSQL uses its partial index.
        among(other.c.state, UNFINISHED),
        or_(other.c.state == State.RUNNING, other.c.id < rows.c.id),
    )


def _same_key(other: FromClause, rows: Table) -> ColumnElement[bool]:
    return and_(
        other.c.receiver == rows.c.receiver,
        other.c.order_key == rows.c.order_key,
        other.c.id != rows.c.id,
    )
