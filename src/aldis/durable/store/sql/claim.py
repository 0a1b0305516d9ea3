"""What workers do in the database: leases, claims, and what became of deliveries.

A claim finds rows by state and time due, never by "above the last number seen": numbers are not
given out in the order in which transactions are committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import DataError

from aldis.durable.store.sql.connection import Database, translated
from aldis.durable.store.sql.corrupt_rows import damage, one_more
from aldis.durable.store.sql.leases import BATCH, LeaseSide, micro, one_less, unbegun
from aldis.durable.store.sql.ordering import block, clashing, promote, stranded, unblock
from aldis.durable.store.sql.tables import MICRO, Tables, among, now
from aldis.durable.types import (
    NAME_LENGTH,
    QUARANTINE_AFTER,
    AttemptFailure,
    ClaimedDelivery,
    DueReceiver,
    State,
)
from aldis.errors import OutboxError

__all__ = ["BATCH", "WorkerSide"]


class WorkerSide(LeaseSide):
    """The half of the store that workers use: see :class:`aldis.durable.store.Store`."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._db = database
        self._tables = tables
        self._rows = tables.deliveries
        self._due = lru_cache(maxsize=8)(self._due_of)
        rows = self._rows
        states = (State.PENDING, State.QUARANTINED)
        self._finding = {
            state: self._finding_of(
                state, *_claimed_columns(rows), one_more(rows.c.attempts).label("attempt")
            )
            for state in states
        }
        if database.kind == "postgresql":
            self._taking = {state: self._taking_of(state) for state in states}
        self._complete_many = (
            update(rows)
            .where(
                rows.c.id.in_(bindparam("numbers", expanding=True)),
                rows.c.state == State.RUNNING,
                rows.c.worker == bindparam("lease"),
                rows.c.attempts == bindparam("attempt"),
            )
            .values(state=State.DONE, finished_at=now())
        )
        self._complete_one = (
            update(rows)
            .where(
                rows.c.id == bindparam("number"),
                # Twice in one transaction is once: whoever did it is still named.
                among(rows.c.state, (State.RUNNING, State.DONE)),
                rows.c.worker == bindparam("lease"),
                rows.c.attempts == bindparam("attempt"),
            )
            .values(state=State.DONE, finished_at=now())
        )

    # -- claims ----------------------------------------------------------------------------------

    def due(self, receivers: Sequence[str]) -> list[DueReceiver]:
        """Return which receivers have something pending, and when."""
        if not receivers:
            return []
        statement = self._due(tuple(receivers))
        found = self._db.read(lambda connection: connection.execute(statement).all())
        return [
            DueReceiver(name, (first - present) / MICRO, exclusive)
            for name, pending, suspect, present in found
            for first, exclusive in ((pending, False), (suspect, True))
            if isinstance(first, (int, float))  # not so in a damaged row of SQLite
        ]

    def _due_of(self, receivers: tuple[str, ...]) -> Select[Any]:
        """Return what looks for each receiver's first row: one step down an index for each."""
        rows, paused = self._rows, self._tables.paused
        kind = rows.c.receiver.type
        names = union_all(
            *(select(cast(literal(name), String(NAME_LENGTH)).label("name")) for name in receivers)
        ).subquery("names")
        name = cast(names.c.name, kind) if self._db.kind == "mysql" else names.c.name

        def first(state: State) -> ColumnElement[int]:
            return (
                select(func.min(rows.c.due_at))
                .where(rows.c.state == literal(int(state), literal_execute=True))
                .where(rows.c.receiver == name)
                .scalar_subquery()
            )

        # Not subtracted there: a time may be so far away that the database cannot.
        columns = (names.c.name, first(State.PENDING), first(State.QUARANTINED), now())
        return select(*columns).where(~exists().where(paused.c.receiver == name))

    def claim(
        self, worker: str, receiver: str, limit: int, *, ordered: bool, exclusive: bool = False
    ) -> list[ClaimedDelivery]:
        """Give due deliveries of one receiver to a worker."""
        state = State.QUARANTINED if exclusive else State.PENDING
        wanted = {"whose": receiver, "lease": worker, "most": limit}
        if ordered:
            taken = self._db.write(partial(self._take, state, wanted), async_commit=True)
            return self._without_clashes(taken)
        if self._db.kind == "postgresql":
            statement = self._taking[state]
            found = self._db.autocommit(
                lambda connection: connection.execute(statement, wanted).all()
            )
            by_time = sorted(found, key=lambda row: row[-2:])
            return [_claimed(row, worker, row.attempts) for row in by_time]
        return self._db.write(partial(self._take, state, wanted, ordered=False), async_commit=True)

    def _take(
        self,
        state: State,
        wanted: dict[str, Any],
        connection: Connection,
        *,
        ordered: bool = True,
    ) -> list[ClaimedDelivery]:
        """Look for what is due and mark it, in one transaction."""
        rows = self._rows
        found: Sequence[Any] = connection.execute(self._finding[state], wanted).all()
        if self._db.kind == "sqlite":
            found = self._without_damaged(connection, found)
        if ordered:
            behind = block(connection, rows, found)
            found = [row for row in found if row.id not in behind]
        if found:
            connection.execute(
                update(rows)
                .where(rows.c.id.in_([row.id for row in found]))
                .values(
                    state=State.RUNNING,
                    worker=bindparam("lease"),
                    attempts=one_more(rows.c.attempts),
                ),
                wanted,
            )
        return [_claimed(row, wanted["lease"], row.attempt) for row in found]

    def _without_damaged(self, connection: Connection, found: Sequence[Any]) -> Sequence[Any]:
        """Make dead letters of rows that have been written by somebody else, and wrongly."""
        rows = self._rows
        damages = {row.id: said for row in found if (said := damage(row)) is not None}
        for number, said in damages.items():
            end = update(rows).where(rows.c.id == number)
            connection.execute(
                end.values(state=State.DEAD, finished_at=now(), reason=said, attempts=0, lost=0)
            )
        return [row for row in found if row.id not in damages] if damages else found

    def _finding_of(self, state: State, *columns: Any) -> Select[Any]:
        """Return what finds due rows, and locks them."""
        rows, workers, paused = self._rows, self._tables.workers, self._tables.paused
        return (
            select(*columns)
            .where(
                rows.c.state == literal(int(state), literal_execute=True),
                rows.c.receiver == bindparam("whose"),
                rows.c.due_at <= now(),
                exists().where(workers.c.id == bindparam("lease"), workers.c.expires_at > now()),
                ~exists().where(paused.c.receiver == bindparam("whose")),
            )
            .order_by(rows.c.due_at, rows.c.id)
            .limit(bindparam("most"))
            .with_for_update(of=rows, skip_locked=True)
            .with_hint(rows, f"INDEXED BY {self._tables.ready_index}", "sqlite")
        )

    def _taking_of(self, state: State) -> Any:
        """Return what finds and marks due rows in one statement, for PostgreSQL."""
        rows = self._rows
        due = self._finding_of(state, rows.c.id).where(self._db.async_commit).cte("due")
        return (
            update(rows)
            .where(rows.c.id == due.c.id)
            .values(
                state=State.RUNNING, worker=bindparam("lease"), attempts=one_more(rows.c.attempts)
            )
            .returning(*_claimed_columns(rows), rows.c.due_at, rows.c.id)
        )

    def _without_clashes(self, claimed: list[ClaimedDelivery]) -> list[ClaimedDelivery]:
        """Give back what another worker claimed the same key of at the same time.

        Neither sees the other's claim before that is committed: the second one does afterwards.
        """
        keyed = [each.id for each in claimed if each.order_key is not None]
        if not keyed or self._db.kind == "sqlite":  # which has one writer at a time
            return claimed
        clashes = clashing(self._rows, keyed)
        both = self._db.read(lambda connection: set(connection.scalars(clashes)))
        if both:
            self.release([each for each in claimed if each.id in both])
        return [each for each in claimed if each.id not in both]

    # -- what became of them ---------------------------------------------------------------------

    def complete(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Complete deliveries that their worker still has."""
        # One statement for each attempt that they are at, which is the same for almost all.
        same: dict[tuple[str, int, bool], list[ClaimedDelivery]] = {}
        for each in claimed:
            keyed = each.order_key is not None
            same.setdefault((each.worker, each.attempt, keyed), []).append(each)
        return sum(
            self._complete(batch, keyed=keyed)
            for (*_, keyed), alike in same.items()
            for batch in _batches(alike)
        )

    def _complete(self, claimed: Sequence[ClaimedDelivery], *, keyed: bool) -> int:
        """Complete deliveries of one lease that are at the same attempt."""
        bound = {
            "numbers": [each.id for each in claimed],
            "lease": claimed[0].worker,
            "attempt": claimed[0].attempt,
        }
        if self._db.kind == "postgresql" and not keyed:
            statement = self._complete_many.where(self._db.async_commit)
            return self._db.autocommit(
                lambda connection: connection.execute(statement, bound).rowcount
            )

        def complete(connection: Connection) -> int:
            count = connection.execute(self._complete_many, bound).rowcount
            promote(connection, self._rows, claimed)
            return count

        return self._db.write(complete, async_commit=True)

    def complete_in(self, session: Any, claimed: ClaimedDelivery) -> bool:
        """Complete one in the transaction of ``session``."""
        with translated(self._db.kind):
            connection = self.connection_of(session)
            bound = {"number": claimed.id, "lease": claimed.worker, "attempt": claimed.attempt}
            done = connection.execute(self._complete_one, bound)
            if done.rowcount and claimed.order_key is not None:
                promote(connection, self._rows, [claimed])
            return done.rowcount > 0

    def connection_of(self, handle: Any) -> Connection:
        """Return the connection of a session or connection."""
        raise NotImplementedError

    def fail(self, claimed: ClaimedDelivery, failure: AttemptFailure) -> bool:
        """Have one tried again, or make it a dead letter."""
        try:
            return self._fail(claimed, failure, "utf-8")
        except OutboxError as error:
            if not isinstance(error.__cause__, (UnicodeError, DataError)):
                raise
            # A database that is not in UTF-8: better the error in part than a worker that stops.
            return self._fail(claimed, failure, "ascii")

    def _fail(self, claimed: ClaimedDelivery, failure: AttemptFailure, encoding: str) -> bool:
        rows = self._rows
        values: dict[str, Any] = {
            "reason": _storable(failure.reason, encoding),
            "traceback": failure.traceback and _storable(failure.traceback, encoding),
            "worker": None,
        }
        if not failure.counts:
            values["attempts"] = one_less(rows)
        if failure.retry_in is None:
            values |= {"state": State.DEAD, "finished_at": now()}
        else:
            state = State.QUARANTINED if claimed.lost_workers >= QUARANTINE_AFTER else State.PENDING
            values |= {"state": state, "due_at": now() + micro(failure.retry_in)}
        change = update(rows).where(self._still(claimed)).values(values)
        return self._db.write(lambda connection: connection.execute(change).rowcount > 0)

    def release(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Make deliveries pending again that were not begun."""
        rows = self._rows

        def give(connection: Connection) -> int:
            return sum(
                connection.execute(
                    update(rows).where(self._still(each)).values(unbegun(rows))
                ).rowcount
                for each in claimed
            )

        return self._db.write(give) if claimed else 0

    def repair_order(self) -> int:
        """Free deliveries that wait behind nothing."""
        free = stranded(self._rows).limit(BATCH)

        def set_free(connection: Connection) -> int:
            return unblock(connection, self._rows, connection.scalars(free).all())

        if not self._db.read(lambda connection: connection.scalars(free.limit(1)).all()):
            return 0
        return sum(iter(lambda: self._db.write(set_free), 0))

    def _still(self, claimed: ClaimedDelivery) -> ColumnElement[bool]:
        """Return the fence: only who has the row, and for this attempt, may change it."""
        rows = self._rows
        return and_(
            rows.c.id == claimed.id,
            rows.c.state == State.RUNNING,
            rows.c.worker == claimed.worker,
            rows.c.attempts == claimed.attempt,
        )


def _claimed_columns(rows: Any) -> tuple[Any, ...]:
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
    """Return what a row of :func:`_claimed_columns`, which may have more columns, says.

    Args:
        row: The row.
        worker: Who has it now.
        attempt: Which attempt this is.
    """
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


def _storable(text: str, encoding: str) -> str:
    """Return ``text`` without what a database does not take: half characters, and on some NUL."""
    return text.encode(encoding, "backslashreplace").decode(encoding).replace("\0", "\\x00")


def _batches(items: Sequence[ClaimedDelivery]) -> Iterator[Sequence[ClaimedDelivery]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
