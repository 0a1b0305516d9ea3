"""What the dashboard reads: counts, workers, groups of dead letters, causes and the audit log.

Each function runs one statement. No statement counts more than :data:`MOST` rows of a state, so it
takes as long with ten million rows as with ten thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Table,
    case,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.exc import IntegrityError

from aldis.durable.store.sql.admin import selected
from aldis.durable.store.sql.corrupt_rows import as_delivery, as_moment
from aldis.durable.store.sql.tables import MICRO, Tables, among, microseconds, now
from aldis.durable.types import UNFINISHED, WAITING, Delivery, DeliveryFilter, State

__all__ = [
    "MOST",
    "AuditEntry",
    "DeadGroup",
    "ReceiverLoad",
    "WorkerLease",
    "audit_log",
    "causes",
    "dead_groups",
    "dead_ids",
    "ids",
    "loads",
    "paused_since",
    "record_change",
    "set_changed",
    "workers",
]

#: The largest number that is counted. A page shows it as "10,000+".
MOST: Final = 10_000

#: How many causes of a delivery are looked up.
MOST_CAUSES: Final = 100

#: The period of the number of completed deliveries, in seconds.
RECENT: Final = 3600


# -- receivers -------------------------------------------------------------------------------------


@dataclass(slots=True)
class ReceiverLoad:
    """How much work a receiver has.

    Attributes:
        receiver: The receiver's name.
        counts: The number of its unfinished deliveries in each state, and of those that were done
            in the last hour.
        oldest: Seconds since its oldest waiting delivery became due; ``None`` if none is due.
        capped: The states of which not all deliveries were counted.
    """

    receiver: str
    counts: dict[State, int] = field(default_factory=dict)
    oldest: float | None = None
    capped: frozenset[State] = frozenset()


def loads(connection: Connection, tables: Tables) -> list[ReceiverLoad]:
    """Return the work of each receiver that has any, sorted by name."""
    rows = tables.deliveries
    counted = union_all(*(_some(rows, state) for state in (*UNFINISHED, State.DONE))).subquery()
    groups = (
        select(counted.c.receiver, counted.c.state, func.count().label("number"))
        .group_by(counted.c.receiver, counted.c.state)
        .subquery()
    )
    due = [_first_due(rows, groups.c.receiver, state) for state in WAITING]
    found = connection.execute(
        select(groups.c.receiver, groups.c.state, groups.c.number, *due, now())
    ).all()
    totals: dict[State, int] = {}
    loads: dict[str, ReceiverLoad] = {}
    for name, number, count, *moments, present in found:
        state = State(number)
        load = loads.setdefault(str(name), ReceiverLoad(str(name)))
        load.counts[state] = count
        totals[state] = totals.get(state, 0) + count
        ages = [(present - each) / MICRO for each in moments if each is not None]
        load.oldest = max([load.oldest or 0.0, *ages]) or None
    capped = frozenset(state for state, total in totals.items() if total >= MOST)
    for load in loads.values():
        load.capped = capped & load.counts.keys()
    return [loads[name] for name in sorted(loads)]


def _some(rows: Table, state: State) -> Any:
    """Select the deliveries in a state, at most :data:`MOST`; completed ones of the last hour."""
    chosen = select(rows.c.receiver, rows.c.state).where(among(rows.c.state, (state,)))
    if state is State.DONE:
        chosen = chosen.where(rows.c.finished_at > now() - microseconds(RECENT))
    limited = chosen.limit(MOST).subquery()
    return select(limited.c.receiver, limited.c.state)


def _first_due(rows: Table, receiver: ColumnElement[str], state: State) -> Any:
    """Select the time at which the first delivery of a receiver in a state is due."""
    # An index serves ORDER BY with LIMIT on each database, and min() not on MariaDB.
    inner = rows.alias()
    return (
        select(inner.c.due_at)
        .where(among(inner.c.state, (state,)), inner.c.receiver == receiver)
        .order_by(inner.c.due_at)
        .limit(1)
        .scalar_subquery()
    )


def paused_since(connection: Connection, tables: Tables) -> dict[str, datetime]:
    """Return the paused receivers, and since when each one is paused."""
    paused = tables.paused.c
    found = connection.execute(select(paused.receiver, paused.since))
    return {str(name): as_moment(since) for name, since in found}


# -- workers ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerLease:
    """A worker that is registered in the database.

    Attributes:
        lease: The id of its lease, as in ``Delivery.worker``.
        name: Its name.
        started_at: When the lease began.
        expires_in: Seconds until the lease expires; negative once it has expired.
        running: The number of deliveries that it runs now.
    """

    lease: str
    name: str
    started_at: datetime
    expires_in: float
    running: int


def workers(connection: Connection, tables: Tables) -> list[WorkerLease]:
    """Return the registered workers, by name."""
    rows, leases = tables.deliveries, tables.workers
    running = (
        select(rows.c.worker, func.count().label("number"))
        .where(among(rows.c.state, (State.RUNNING,)), rows.c.worker.is_not(None))
        .group_by(rows.c.worker)
        .subquery()
    )
    found = connection.execute(
        select(leases, running.c.number, now())
        .select_from(leases.outerjoin(running, running.c.worker == leases.c.id))
        .order_by(leases.c.name, leases.c.started_at)
    ).all()
    return [
        WorkerLease(
            str(lease),
            str(name),
            as_moment(started),
            (as_moment(expires) - as_moment(present)).total_seconds(),
            number or 0,
        )
        for lease, name, started, expires, number, present in found
    ]


# -- dead letters ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead letters of one receiver with one type of error.

    Attributes:
        receiver: The receiver's name.
        error: The type of the error, the part of the reason before its first colon.
        example: The reason of one of them.
        count: Their number.
        highest_id: The highest of their ids.
        first: When the first one died.
        last: When the last one died, in microseconds, as the database stores it.
    """

    receiver: str
    error: str
    example: str
    count: int
    highest_id: int
    first: datetime
    last: int

    @property
    def last_at(self) -> datetime:
        """When the last one died."""
        return as_moment(self.last)


def dead_groups(connection: Connection, tables: Tables) -> list[DeadGroup]:
    """Group the newest dead letters, at most :data:`MOST`; the largest group comes first."""
    rows = tables.deliveries
    newest = (
        select(
            rows.c.receiver,
            _error_type(connection, rows).label("error"),
            rows.c.reason,
            rows.c.id,
            rows.c.finished_at,
        )
        .where(among(rows.c.state, (State.DEAD,)))
        .order_by(rows.c.finished_at.desc())
        .limit(MOST)
        .subquery()
    )
    number = func.count().label("number")
    found = connection.execute(
        select(
            newest.c.receiver,
            newest.c.error,
            func.max(newest.c.reason),
            number,
            func.max(newest.c.id),
            func.min(newest.c.finished_at),
            func.max(newest.c.finished_at),
        )
        .group_by(newest.c.receiver, newest.c.error)
        .order_by(number.desc(), newest.c.receiver, newest.c.error)
    ).all()
    return [
        DeadGroup(
            str(receiver), error, example or "", count, highest, as_moment(first), int(last or 0)
        )
        for receiver, error, example, count, highest, first, last in found
    ]


def dead_ids(
    connection: Connection, tables: Tables, group: DeadGroup, *, limit: int = MOST
) -> Sequence[int]:
    """Return the ids of the dead letters that were in ``group``, except those that left it.

    A delivery that died later does not belong to it, even if its id is lower.
    """
    rows = tables.deliveries
    return connection.scalars(
        select(rows.c.id)
        .where(
            among(rows.c.state, (State.DEAD,)),
            rows.c.receiver == group.receiver,
            _error_type(connection, rows) == group.error,
            rows.c.id <= group.highest_id,
            rows.c.finished_at <= group.last,
        )
        .order_by(rows.c.finished_at.desc())
        .limit(limit)
    ).all()


def _error_type(connection: Connection, rows: Table) -> ColumnElement[str]:
    """Return the part of the reason before the first colon; without a colon, the whole reason."""
    reason = func.coalesce(rows.c.reason, "")
    find = func.strpos if connection.dialect.name == "postgresql" else func.instr
    colon = find(reason, literal_column("':'"))
    return case((colon > 0, func.substr(reason, 1, colon - 1)), else_=reason)


def ids(
    connection: Connection, tables: Tables, where: DeliveryFilter, *, limit: int
) -> Sequence[int]:
    """Return the ids of the selected deliveries, the newest first."""
    rows = tables.deliveries
    chosen = select(rows.c.id).where(selected(rows, where)).order_by(rows.c.id.desc())
    return connection.scalars(chosen.limit(limit)).all()


# -- one delivery ----------------------------------------------------------------------------------


def causes(connection: Connection, tables: Tables, delivery_id: int) -> list[Delivery]:
    """Return the causes of a delivery as far as they are recorded, the first cause first."""
    rows = tables.deliveries
    chain = (
        select(rows.c.id, rows.c.cause, literal(0, Integer).label("depth"))
        .where(rows.c.id == delivery_id)
        .cte("chain", recursive=True)
    )
    cause = rows.alias()
    # A cause is the key of a delivery: the id of its send, a colon and its receiver.
    chain = chain.union_all(
        select(cause.c.id, cause.c.cause, chain.c.depth + 1).where(
            cause.c.emission_id == func.substr(chain.c.cause, 1, 32),
            cause.c.receiver == func.substr(chain.c.cause, 34),
            chain.c.depth < MOST_CAUSES,
        )
    )
    found = connection.execute(
        select(rows)
        .join(chain, chain.c.id == rows.c.id)
        .where(chain.c.depth > 0)
        .order_by(chain.c.depth.desc())
    )
    return [as_delivery(dict(row)) for row in found.mappings()]


# -- audit -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A change that a user of the dashboard made.

    Attributes:
        at: When.
        user: The user's name.
        action: The action, such as ``replay``.
        target: What was changed.
        changed: How many deliveries or receivers were changed; ``None`` if the change did not end.
    """

    at: datetime
    user: str
    action: str
    target: str
    changed: int | None


def record_change(
    connection: Connection, tables: Tables, *, user: str, action: str, target: str, token: str
) -> int | None:
    """Write a change into the audit log before it is made; return the number of the entry.

    ``None`` means that a change with this token was recorded before.
    """
    audit = tables.audit
    try:
        with connection.begin_nested():
            done = connection.execute(
                insert(audit).values(
                    user_name=user[:255], action=action, target=target, token=token, changed=null()
                )
            )
    except IntegrityError:
        return None
    key: Any = done.inserted_primary_key
    return int(key[0])


def set_changed(connection: Connection, tables: Tables, entry: int, changed: int) -> None:
    """Write how many rows a recorded change has changed."""
    audit = tables.audit
    connection.execute(audit.update().where(audit.c.id == entry).values(changed=changed))


def audit_log(connection: Connection, tables: Tables, *, limit: int) -> list[AuditEntry]:
    """Return the newest changes, the newest first."""
    audit = tables.audit.c
    found = connection.execute(
        select(audit.at, audit.user_name, audit.action, audit.target, audit.changed)
        .order_by(audit.id.desc())
        .limit(limit)
    )
    return [AuditEntry(as_moment(at), *rest) for at, *rest in found]
