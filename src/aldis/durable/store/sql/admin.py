"""What operators do: count, find, replay, discard, pause and prune deliveries.

Each function runs SQL on a connection. The store chooses the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from aldis.durable.store.sql.breaker import breakers
from aldis.durable.store.sql.corrupt_rows import as_delivery, as_moment
from aldis.durable.store.sql.tables import BATCH, Tables, microseconds, now, unindexed
from aldis.durable.types import (
    OVER,
    UNFINISHED,
    WAITING,
    Delivery,
    DeliveryFilter,
    ReceiverStats,
    State,
)

__all__ = [
    "DISCARD",
    "REPLAY",
    "Change",
    "change",
    "count",
    "count_prunable",
    "find",
    "pause",
    "prune",
    "resume",
    "selected",
    "stats",
]


#: A corrupt row may have another state.
_STATES: Final = tuple(State)


@dataclass(frozen=True, slots=True)
class Change:
    """A change that an operator can make.

    Attributes:
        states: The states that it changes.
        values: The new values of the columns.
    """

    states: Sequence[State]
    values: dict[str, Any]


REPLAY: Final = Change(
    states=(State.DEAD, State.DISCARDED),
    values={
        "state": State.PENDING,
        "attempts": 0,
        "lost": 0,
        "due_at": now(),
        "finished_at": None,
    },
)

DISCARD: Final = Change(
    states=tuple(state for state in UNFINISHED if state is not State.RUNNING),
    values={"state": State.DISCARDED, "finished_at": now()},
)


def stats(connection: Connection, tables: Tables) -> list[ReceiverStats]:
    """Count the deliveries of each receiver that has any or is paused, sorted by name."""
    rows, paused = tables.deliveries, tables.paused
    is_due = rows.c.state.in_(WAITING) & (rows.c.due_at <= now())
    # Python computes the age, because a distant time would overflow in the database.
    found = connection.execute(
        select(
            rows.c.receiver,
            rows.c.state,
            func.count(),
            func.min(case((is_due, rows.c.due_at), else_=None)),
            now(),
        )
        .where(rows.c.state.in_(_STATES))
        .group_by(rows.c.receiver, rows.c.state)
    ).all()
    # A corrupt row of SQLite may have a receiver of another type.
    paused_receivers = set(map(str, connection.scalars(select(paused.c.receiver))))
    failing = {each.receiver: each for each in breakers(connection, tables)}
    counts: dict[str, dict[State, int]] = {name: {} for name in paused_receivers}
    oldest: dict[str, float] = {}
    for name, state, number, since, present in found:
        receiver = str(name)
        of_receiver = counts.setdefault(receiver, {})
        of_receiver[State(state)] = of_receiver.get(State(state), 0) + number
        if since is not None:
            age = (as_moment(present) - as_moment(since)).total_seconds()
            oldest[receiver] = max(oldest.get(receiver, 0.0), age)
    return [
        ReceiverStats(
            name, counts[name], oldest.get(name), name in paused_receivers, failing.get(name)
        )
        for name in sorted(counts)
    ]


def find(
    connection: Connection, tables: Tables, where: DeliveryFilter, limit: int, *, newest_first: bool
) -> list[Delivery]:
    """Return the selected deliveries in the order of their ids."""
    rows = tables.deliveries
    order = rows.c.id.desc() if newest_first else rows.c.id
    chosen = select(rows).where(selected(rows, where)).order_by(order).limit(limit)
    return [as_delivery(dict(row)) for row in connection.execute(chosen).mappings()]


def count(connection: Connection, tables: Tables, where: DeliveryFilter) -> int:
    """Count the selected deliveries."""
    rows = tables.deliveries
    counted = select(func.count()).select_from(rows).where(selected(rows, where))
    return connection.scalar(counted) or 0


def change(
    connection: Connection,
    tables: Tables,
    kind: Change,
    where: DeliveryFilter,
    after: int,
    size: int,
) -> Sequence[Any]:
    """Change one batch of the selected deliveries.

    Args:
        connection: A connection in a transaction.
        tables: The tables.
        kind: The change.
        where: Selects the deliveries.
        after: The last id of the batch before.
        size: The largest number of deliveries in the batch.

    Returns:
        The id, the receiver and the ordering key of each changed delivery, sorted by id.
    """
    rows = tables.deliveries
    changeable = rows.c.state.in_(kind.states)
    found = connection.execute(
        select(rows.c.id, rows.c.receiver, rows.c.order_key)
        .where(selected(rows, where), changeable, rows.c.id > after)
        .order_by(rows.c.id)
        .limit(size)
        .with_for_update()
    ).all()
    if found:
        ids = [row.id for row in found]
        connection.execute(update(rows).where(rows.c.id.in_(ids), changeable).values(kind.values))
    return found


def pause(connection: Connection, tables: Tables, receiver: str) -> bool:
    """Stop claims for a receiver; return false if an operator has paused it already."""
    paused = tables.paused
    by_workers = and_(paused.c.receiver == receiver, paused.c.trial_at.is_not(None))
    if connection.execute(
        update(paused).where(by_workers).values(trial_at=None, trial_by=None)
    ).rowcount:
        return True
    if connection.scalar(select(paused.c.receiver).where(paused.c.receiver == receiver)):
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(paused).values(receiver=receiver))
    except IntegrityError:  # another operator paused it at this moment
        return False
    return True


def resume(connection: Connection, tables: Tables, receiver: str) -> bool:
    """Allow claims for a receiver again; return false if it was not paused."""
    paused = tables.paused
    return connection.execute(delete(paused).where(paused.c.receiver == receiver)).rowcount > 0


def prune(connection: Connection, tables: Tables, older_than: float) -> int:
    """Delete one batch of deliveries that ended long ago; return its size."""
    rows = tables.deliveries
    ids = connection.scalars(
        select(rows.c.id).where(_prunable(rows, older_than)).limit(BATCH)
    ).all()
    if ids:
        connection.execute(delete(rows).where(rows.c.id.in_(ids), rows.c.state.in_(OVER)))
    return len(ids)


def count_prunable(connection: Connection, tables: Tables, older_than: float) -> int:
    """Count the deliveries that ended long ago."""
    rows = tables.deliveries
    counted = select(func.count()).select_from(rows).where(_prunable(rows, older_than))
    return connection.scalar(counted) or 0


def _prunable(rows: Table, older_than: float) -> ColumnElement[bool]:
    before = now() - microseconds(older_than)
    return and_(rows.c.state.in_(OVER), rows.c.finished_at <= before)


def selected(rows: Table, where: DeliveryFilter) -> ColumnElement[bool]:
    """Return the condition that a filter stands for."""
    states = _STATES if where.states is None else where.states
    receiver: ColumnElement[Any] = rows.c.receiver
    state: ColumnElement[Any] = rows.c.state
    if State.DONE in states:  # nearly all rows
        receiver, state = unindexed(receiver), unindexed(state)
    conditions: list[ColumnElement[bool]] = [state.in_(states)]
    for column, value in (
        (receiver, where.receiver),
        (rows.c.signal, where.signal),
        (rows.c.emission_id, where.emission_id),
        (rows.c.order_key, where.order_key),
    ):
        if value is not None:
            conditions.append(column == value)
    if where.ids is not None:
        conditions.append(rows.c.id.in_(where.ids))
    if where.error is not None:
        errors = func.coalesce(rows.c.reason, "") + "\n" + func.coalesce(rows.c.traceback, "")
        conditions.append(func.lower(errors).contains(where.error.lower(), autoescape=True))
    if where.since is not None:
        conditions.append(rows.c.created_at >= _from_datetime(where.since))
    if where.until is not None:
        conditions.append(rows.c.created_at < _from_datetime(where.until))
    if where.after_id is not None:
        conditions.append(rows.c.id > where.after_id)
    if where.before_id is not None:
        conditions.append(rows.c.id < where.before_id)
    return and_(*conditions)


def _from_datetime(moment: datetime) -> int:
    """Convert a time to the unit of the tables. A time without a zone is local time."""
    return microseconds(moment.timestamp())
