"""Claims of due deliveries, and the results of their attempts.

A claim finds rows by state and due time, never by "id greater than the last one": transactions do
not commit in the order of their ids.

Each function runs SQL on a connection. The store chooses the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    Update,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from aldis.durable.store.sql.connection import async_commit
from aldis.durable.store.sql.corrupt_rows import damage
from aldis.durable.store.sql.leases import one_less, one_more, unbegun
from aldis.durable.store.sql.ordering import RunStatements, runs, unblock_next
from aldis.durable.store.sql.tables import (
    BATCH,
    MICRO,
    UNTRANSLATED,
    Tables,
    among,
    microseconds,
    now,
)
from aldis.durable.types import (
    NAME_LENGTH,
    QUARANTINE_AFTER,
    WAITING,
    AttemptFailure,
    ClaimedDelivery,
    DueReceiver,
    State,
)

__all__ = [
    "ClaimStatements",
    "alike",
    "complete",
    "complete_one",
    "complete_unordered",
    "due",
    "fail",
    "has_recorded_later",
    "release",
    "repair_times",
    "storable",
    "take",
    "take_unordered",
]


class ClaimStatements:
    """The statements that workers run most. They are built once, because building them is slow.

    Args:
        kind: The kind of the database.
        tables: The tables.
    """

    def __init__(self, kind: str, tables: Tables) -> None:
        self.kind = kind
        self.tables = tables
        rows = tables.deliveries
        one_attempt_more = one_more(rows.c.attempts)
        attempt = one_attempt_more.label("attempt")
        self.find: dict[State, Select[Any]] = {
            state: _find(tables, state, *_columns(rows), attempt) for state in WAITING
        }
        self.runs: RunStatements = RunStatements(rows, (*_columns(rows), attempt))
        self.mark_running: Update = (
            update(rows)
            .where(rows.c.id.in_(bindparam("ids", expanding=True)))
            .values(state=State.RUNNING, worker=bindparam("lease"), attempts=one_attempt_more)
        )
        self.first_due: Callable[[tuple[str, ...]], Select[Any]] = lru_cache(maxsize=8)(
            self._first_due
        )
        fence = (rows.c.worker == bindparam("lease"), rows.c.attempts == bindparam("attempt"))
        done = update(rows).values(state=State.DONE, finished_at=now())
        self.complete: Update = done.where(
            rows.c.id.in_(bindparam("ids", expanding=True)), rows.c.state == State.RUNNING, *fence
        )
        # A worker may complete a delivery twice in one transaction, so DONE is accepted, too.
        states = among(rows.c.state, (State.RUNNING, State.DONE))
        self.complete_one: Update = done.where(rows.c.id == bindparam("id_"), states, *fence)
        if kind == "postgresql":  # the statements that are a transaction by themselves
            self.take: dict[State, ReturningUpdate[Any]] = {
                state: _take(tables, state) for state in WAITING
            }
            self.complete_unordered: Update = self.complete.where(async_commit())

    def _first_due(self, receivers: tuple[str, ...]) -> Select[Any]:
        """Select each receiver's first due time, with one index lookup per receiver and state."""
        rows, paused = self.tables.deliveries, self.tables.paused
        names = union_all(
            *(select(cast(literal(name), String(NAME_LENGTH)).label("name")) for name in receivers)
        ).subquery("names")
        name = cast(names.c.name, rows.c.receiver.type) if self.kind == "mysql" else names.c.name

        def first(state: State) -> ColumnElement[int]:
            return (
                select(func.min(rows.c.due_at))
                .where(rows.c.state == literal(int(state), literal_execute=True))
                .where(rows.c.receiver == name)
                .scalar_subquery()
            )

        # Python subtracts the times, because a distant time would overflow in the database.
        columns = (names.c.name, first(State.PENDING), first(State.QUARANTINED), now())
        return select(*columns).where(~exists().where(paused.c.receiver == name))


# -- claims ----------------------------------------------------------------------------------------


def due(
    connection: Connection, statements: ClaimStatements, receivers: Sequence[str]
) -> tuple[int | None, list[DueReceiver]]:
    """Return which receivers have waiting deliveries, and when the first one is due.

    The first value is the database's time. It is ``None`` if all receivers are paused.
    """
    found = connection.execute(statements.first_due(tuple(receivers))).all()
    present = found[0][-1] if found else None
    return present, [
        DueReceiver(name, (first - present) / MICRO, exclusive)
        for name, pending, quarantined, present in found
        for first, exclusive in ((pending, False), (quarantined, True))
        if isinstance(first, (int, float))  # a corrupt row of SQLite may have another type
    ]


def recorded_later(tables: Tables, receivers: Sequence[str]) -> ColumnElement[bool]:
    """Select the waiting deliveries that were recorded at a later time than the present one.

    The database's clock was set back after they had been recorded.
    """
    rows = tables.deliveries
    later = now() + MICRO  # a second, because the clocks of a cluster differ a little
    return and_(
        among(rows.c.state, (*WAITING, State.BLOCKED)),
        rows.c.receiver.in_(receivers),
        rows.c.due_at > later,
        rows.c.created_at > later,
    )


def has_recorded_later(connection: Connection, tables: Tables, receivers: Sequence[str]) -> bool:
    """Return whether :func:`repair_times` has anything to do."""
    found = select(tables.deliveries.c.id).where(recorded_later(tables, receivers)).limit(1)
    return connection.scalars(found).first() is not None


def repair_times(connection: Connection, tables: Tables, receivers: Sequence[str]) -> int:
    """Count the delays of deliveries from now on if the clock was set back; return their number."""
    rows = tables.deliveries
    return connection.execute(
        update(rows)
        .where(recorded_later(tables, receivers))
        # MariaDB assigns one column after the other.
        .ordered_values(
            (rows.c.due_at, rows.c.due_at - rows.c.created_at + now()),
            (rows.c.created_at, now()),
        )
    ).rowcount


def take(
    connection: Connection,
    statements: ClaimStatements,
    state: State,
    wanted: dict[str, Any],
    *,
    ordered: bool,
    run: int = 1,
) -> list[ClaimedDelivery]:
    """Find due deliveries, lock them and mark them as running.

    Args:
        connection: A connection in a transaction.
        statements: The statements of the store.
        state: The state of the deliveries to take.
        wanted: The ``lease``, the ``receiver`` and the ``limit``.
        ordered: Whether to leave out and block the deliveries that must wait for another one.
        run: How many deliveries with the same ordering key the worker may hold.
    """
    rows = statements.tables.deliveries
    found: Sequence[Any] = connection.execute(statements.find[state], wanted).all()
    if statements.kind == "sqlite":
        found = _without_corrupt(connection, rows, found)
    if ordered:
        found = runs(connection, statements.runs, found, wanted, run)
        if statements.kind == "sqlite":  # a run may have gone on with blocked rows
            found = _until_corrupt(connection, rows, found)
    if found:
        bound = {"ids": [row.id for row in found], "lease": wanted["lease"]}
        connection.execute(statements.mark_running, bound)
    return [_claimed(row, wanted["lease"], row.attempt) for row in found]


def take_unordered(
    connection: Connection, statements: ClaimStatements, state: State, wanted: dict[str, Any]
) -> list[ClaimedDelivery]:
    """Do what :func:`take` does in a single statement. It is for PostgreSQL."""
    found = connection.execute(statements.take[state], wanted).all()
    by_time = sorted(found, key=lambda row: row[-2:])
    return [_claimed(row, wanted["lease"], row.attempts) for row in by_time]


def _find(tables: Tables, state: State, *columns: Any) -> Select[Any]:
    """Select due rows and lock them, if the lease is valid and the receiver is not paused."""
    rows, workers, paused = tables.deliveries, tables.workers, tables.paused
    return (
        select(*columns)
        .where(
            rows.c.state == literal(int(state), literal_execute=True),
            rows.c.receiver == bindparam("receiver_"),
            rows.c.due_at <= now(),
            exists().where(workers.c.id == bindparam("lease"), workers.c.expires_at > now()),
            ~exists().where(
                paused.c.receiver == bindparam("receiver_"),
                or_(paused.c.trial_by.is_(None), paused.c.trial_by != bindparam("lease")),
            ),
        )
        .order_by(rows.c.due_at, rows.c.id)
        .limit(bindparam("limit"))
        .with_for_update(of=rows, skip_locked=True)
        .with_hint(rows, f"INDEXED BY {tables.ready_index}", "sqlite")
    )


def _take(tables: Tables, state: State) -> ReturningUpdate[Any]:
    """Find due rows and mark them as running, in one statement."""
    rows = tables.deliveries
    found = _find(tables, state, rows.c.id).where(async_commit()).cte("due")
    return (
        update(rows)
        .where(rows.c.id == found.c.id)
        .values(state=State.RUNNING, worker=bindparam("lease"), attempts=one_more(rows.c.attempts))
        .returning(*_columns(rows), rows.c.due_at, rows.c.id)
    )


def _without_corrupt(connection: Connection, rows: Table, found: Sequence[Any]) -> Sequence[Any]:
    """Make dead letters of the rows that another program wrote in a wrong form."""
    damages = {row.id: said for row in found if (said := damage(row)) is not None}
    for number, said in damages.items():
        dead = update(rows).where(rows.c.id == number)
        connection.execute(
            dead.values(state=State.DEAD, finished_at=now(), reason=said, attempts=0, lost=0)
        )
    return [row for row in found if row.id not in damages] if damages else found


def _until_corrupt(connection: Connection, rows: Table, found: Sequence[Any]) -> Sequence[Any]:
    """Make dead letters of corrupt rows; leave out the rows of their keys that follow them."""
    correct = _without_corrupt(connection, rows, found)
    if len(correct) == len(found):
        return found
    kept = {row.id for row in correct}
    dead: dict[str | None, int] = {}
    for row in found:
        if row.id not in kept:
            dead[row.order_key] = min(row.id, dead.get(row.order_key, row.id))
    dead.pop(None, None)
    return [row for row in correct if row.id < dead.get(row.order_key, row.id + 1)]


def _columns(rows: Table) -> tuple[ColumnElement[Any], ...]:
    return (
        rows.c.id,
        rows.c.emission_id,
        rows.c.receiver,
        rows.c.signal,
        rows.c.payload,
        rows.c.order_key,
        rows.c.cause,
        rows.c.traceparent,
        rows.c.attempts,
        rows.c.lost,
    )


def _claimed(row: Any, worker: str, attempt: int) -> ClaimedDelivery:
    """Convert a row that begins with the columns of :func:`_columns`."""
    number, emission, receiver, signal, payload, key, cause, trace, _, lost = row[:10]
    return ClaimedDelivery(
        number,
        emission,
        receiver,
        signal,
        payload,
        order_key=key,
        caused_by=cause,
        traceparent=trace,
        attempt=attempt,
        lost_workers=lost,
        worker=worker,
    )


# -- results ---------------------------------------------------------------------------------------


def alike(claimed: Sequence[ClaimedDelivery]) -> list[tuple[Sequence[ClaimedDelivery], bool]]:
    """Divide deliveries into batches that one statement can complete.

    Returns:
        Deliveries of one lease at one attempt, and whether they have an ordering key.
    """
    groups: dict[tuple[str, int, bool], list[ClaimedDelivery]] = {}
    for each in claimed:
        keyed = each.order_key is not None
        groups.setdefault((each.worker, each.attempt, keyed), []).append(each)
    return [
        (group[start : start + BATCH], keyed)
        for (*_, keyed), group in groups.items()
        for start in range(0, len(group), BATCH)
    ]


def complete(
    connection: Connection, statements: ClaimStatements, claimed: Sequence[ClaimedDelivery]
) -> int:
    """Complete a batch of :func:`alike` deliveries and unblock those that waited for them."""
    count = connection.execute(statements.complete, _fence(claimed)).rowcount
    if claimed[0].order_key is not None:
        unblock_next(connection, statements.tables.deliveries, claimed)
    return count


def complete_unordered(
    connection: Connection, statements: ClaimStatements, claimed: Sequence[ClaimedDelivery]
) -> int:
    """Complete a batch without ordering keys in a single statement. It is for PostgreSQL."""
    return connection.execute(statements.complete_unordered, _fence(claimed)).rowcount


def _fence(claimed: Sequence[ClaimedDelivery]) -> dict[str, Any]:
    first = claimed[0]
    return {
        "ids": [each.id for each in claimed],
        "lease": first.worker,
        "attempt": first.attempt,
    }


def complete_one(
    connection: Connection, statements: ClaimStatements, claimed: ClaimedDelivery
) -> bool:
    """Complete a delivery; return false if its worker has lost it."""
    bound = {"id_": claimed.id, "lease": claimed.worker, "attempt": claimed.attempt}
    done = (
        connection.execute(statements.complete_one, bound, execution_options=UNTRANSLATED).rowcount
        > 0
    )
    # In REPEATABLE READ, a transaction does not see the deliveries that were blocked after it had
    # begun. On SQLite, it sees all of them once it has written.
    if done and claimed.order_key is not None and statements.kind == "sqlite":
        unblock_next(connection, statements.tables.deliveries, [claimed])
    return done


def fail(
    connection: Connection,
    tables: Tables,
    claimed: ClaimedDelivery,
    failure: AttemptFailure,
    *,
    encoding: str,
) -> bool:
    """Retry a delivery later, or make it a dead letter; return false if its worker has lost it.

    Args:
        connection: A connection in a transaction.
        tables: The tables.
        claimed: The delivery.
        failure: Why it failed, and when to retry.
        encoding: The encoding that the stored error must fit.
    """
    rows = tables.deliveries
    values: dict[str, Any] = {
        "reason": storable(failure.reason, encoding),
        "traceback": failure.traceback and storable(failure.traceback, encoding),
        "worker": None,
    }
    if not failure.counts:
        values["attempts"] = one_less(rows)
    if failure.retry_in is None:
        values |= {"state": State.DEAD, "finished_at": now()}
    else:
        quarantined = claimed.lost_workers >= QUARANTINE_AFTER
        state = State.QUARANTINED if quarantined else State.PENDING
        values |= {"state": state, "due_at": now() + microseconds(failure.retry_in)}
    changed = update(rows).where(_still_held(rows, claimed)).values(values)
    return connection.execute(changed).rowcount > 0


def release(connection: Connection, tables: Tables, claimed: Sequence[ClaimedDelivery]) -> int:
    """Make deliveries pending again without counting an attempt; return their number."""
    rows = tables.deliveries
    count = 0
    for batch, _ in alike(claimed):
        held = and_(
            rows.c.id.in_([each.id for each in batch]),
            rows.c.state == State.RUNNING,
            rows.c.worker == batch[0].worker,
            rows.c.attempts == batch[0].attempt,
        )
        count += connection.execute(update(rows).where(held).values(unbegun(rows))).rowcount
    return count


def _still_held(rows: Table, claimed: ClaimedDelivery) -> ColumnElement[bool]:
    """The fence: only the worker that holds the delivery may change it, for this attempt."""
    return and_(
        rows.c.id == claimed.id,
        rows.c.state == State.RUNNING,
        rows.c.worker == claimed.worker,
        rows.c.attempts == claimed.attempt,
    )


def storable(text: str, encoding: str) -> str:
    """Escape the characters that the database cannot store: lone surrogates and NUL."""
    return text.encode(encoding, "backslashreplace").decode(encoding).replace("\0", "\\x00")
