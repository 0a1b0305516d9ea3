"""What operators do in the database: look, replay, discard, pause, prune."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from aldis.durable.store.sql.claim import BATCH
from aldis.durable.store.sql.connection import Database
from aldis.durable.store.sql.corrupt_rows import as_delivery, as_moment
from aldis.durable.store.sql.ordering import promote
from aldis.durable.store.sql.tables import MICRO, Tables, now
from aldis.durable.types import (
    OVER,
    UNFINISHED,
    WAITING,
    Delivery,
    DeliveryFilter,
    ReceiverStats,
    State,
)

__all__ = ["OperatorSide"]


class OperatorSide:
    """The half of the store that operators use: see :class:`aldis.durable.store.Store`."""

    _db: Database
    _tables: Tables
    _rows: Any
    _notify: bool
    wake: Callable[[], None]

    def loads(self) -> list[ReceiverStats]:
        """Return how much there is of each receiver."""
        rows, paused = self._rows, self._tables.paused
        waits = case(
            (rows.c.state.in_(WAITING) & (rows.c.due_at <= now()), rows.c.due_at), else_=None
        )
        # The age is not computed there: a time may be so far away that the database cannot.
        counted = (
            select(rows.c.receiver, rows.c.state, func.count(), func.min(waits), now())
            .where(rows.c.state.in_(State))
            .group_by(rows.c.receiver, rows.c.state)
        )

        def look(connection: Connection) -> tuple[Sequence[Any], set[str]]:
            held_back = connection.scalars(select(paused.c.receiver))
            return connection.execute(counted).all(), set(map(str, held_back))

        found, held_back = self._db.read(look)
        counts: dict[str, dict[State, int]] = {name: {} for name in held_back}
        oldest: dict[str, float] = {}
        for name, state, count, since, present in found:
            receiver = str(name)  # SQLite may have something else there
            of_receiver = counts.setdefault(receiver, {})
            of_receiver[State(state)] = of_receiver.get(State(state), 0) + count
            if since is not None:
                age = (as_moment(present) - as_moment(since)).total_seconds()
                oldest[receiver] = max(oldest.get(receiver, 0.0), age)
        return [
            ReceiverStats(name, counts[name], oldest.get(name), name in held_back)
            for name in sorted(counts)
        ]

    def find(
        self, choice: DeliveryFilter, *, limit: int, newest_first: bool = False
    ) -> list[Delivery]:
        """Return the chosen deliveries."""
        rows = self._rows
        order = rows.c.id.desc() if newest_first else rows.c.id
        chosen = select(rows).where(self._chosen(choice)).order_by(order).limit(limit)
        found = self._db.read(lambda connection: connection.execute(chosen).mappings().all())
        return [as_delivery(dict(row)) for row in found]

    def count(self, choice: DeliveryFilter) -> int:
        """Return how many are chosen."""
        counted = select(func.count()).select_from(self._rows).where(self._chosen(choice))
        return self._db.read(lambda connection: connection.scalar(counted)) or 0

    def replay(self, choice: DeliveryFilter) -> Iterator[int]:
        """Make dead letters and discarded deliveries pending again."""
        again = {
            "state": State.PENDING,
            "attempts": 0,
            "lost": 0,
            "due_at": now(),
            "finished_at": None,
        }
        return self._change(choice, (State.DEAD, State.DISCARDED), again, {}, tell=True)

    def discard(self, choice: DeliveryFilter) -> Iterator[int]:
        """Have deliveries never run."""
        over = {"state": State.DISCARDED, "finished_at": now()}
        states = tuple(state for state in UNFINISHED if state != State.RUNNING)
        keyed: dict[tuple[str, str | None], Any] = {}
        yield from self._change(choice, states, over, keyed)
        # Not before: what is freed must not become one of the chosen. If nobody asks for it, a
        # worker's mend() does the same.
        ended = list(keyed.values())
        for start in range(0, len(ended), BATCH):
            batch = ended[start : start + BATCH]

            def free(connection: Connection, batch: Sequence[Any] = batch) -> None:
                promote(connection, self._rows, batch)
                self._tell(connection)

            self._db.write(free)
            self.wake()

    def _change(
        self,
        choice: DeliveryFilter,
        states: Sequence[State],
        values: dict[str, Any],
        changed: dict[tuple[str, str | None], Any],
        *,
        tell: bool = False,
    ) -> Iterator[int]:
        """Change the chosen rows in these states, batch after batch; note one of each key.

        With ``tell``, workers hear of each batch.
        """
        rows = self._rows
        chosen = and_(self._chosen(choice), rows.c.state.in_(states))
        last = 0

        def change(connection: Connection) -> Sequence[Any]:
            found = connection.execute(
                select(rows.c.id, rows.c.receiver, rows.c.order_key)
                .where(chosen, rows.c.id > last)
                .order_by(rows.c.id)
                .limit(BATCH)
                .with_for_update()
            ).all()
            if found:
                connection.execute(
                    update(rows)
                    .where(rows.c.id.in_([row.id for row in found]), rows.c.state.in_(states))
                    .values(values)
                )
                if tell:
                    self._tell(connection)
            return found

        while found := self._db.write(change):
            if tell:
                self.wake()
            last = found[-1].id
            changed |= {(row.receiver, row.order_key): row for row in found}
            yield len(found)

    def pause(self, receiver: str) -> bool:
        """Hold back a receiver's deliveries."""
        hold = insert(self._tables.paused).values(receiver=receiver)
        paused = self._tables.paused

        def pause(connection: Connection) -> bool:
            if connection.scalar(select(paused.c.receiver).where(paused.c.receiver == receiver)):
                return False
            try:
                with connection.begin_nested():
                    connection.execute(hold)
            except IntegrityError:  # somebody else did, at this moment
                return False
            return True

        return self._db.write(pause)

    def resume(self, receiver: str) -> bool:
        """Deliver again."""
        paused = self._tables.paused
        let_go = delete(paused).where(paused.c.receiver == receiver)

        def resume(connection: Connection) -> bool:
            if not connection.execute(let_go).rowcount:
                return False
            self._tell(connection)
            return True

        resumed = self._db.write(resume)
        if resumed:
            self.wake()
        return resumed

    def prune(self, older_than: float) -> Iterator[int]:
        """Delete what was done or discarded long ago."""
        rows = self._rows
        old = self._prunable(older_than)

        def remove(connection: Connection) -> int:
            ids = connection.scalars(select(rows.c.id).where(old).limit(BATCH)).all()
            if ids:
                connection.execute(delete(rows).where(rows.c.id.in_(ids), rows.c.state.in_(OVER)))
            return len(ids)

        while removed := self._db.write(remove):
            yield removed

    def count_prunable(self, older_than: float) -> int:
        """Return how many ``prune`` would delete."""
        counted = select(func.count()).select_from(self._rows).where(self._prunable(older_than))
        return self._db.read(lambda connection: connection.scalar(counted)) or 0

    def _tell(self, connection: Connection) -> None:
        """Tell workers, where they listen, once this transaction is committed."""
        if self._notify:
            connection.execute(select(func.pg_notify(self._tables.deliveries.name, "")))

    def _prunable(self, older_than: float) -> ColumnElement[bool]:
        rows = self._rows
        before = now() - int(older_than * MICRO)
        return and_(rows.c.state.in_(OVER), rows.c.finished_at <= before)

    def _chosen(self, choice: DeliveryFilter) -> ColumnElement[bool]:
        rows = self._rows
        wanted: list[ColumnElement[bool]] = []
        for column, value in (
            (rows.c.receiver, choice.receiver),
            (rows.c.signal, choice.signal),
            (rows.c.emission_id, choice.emission_id),
        ):
            if value is not None:
                wanted.append(column == value)
        for column, values in ((rows.c.id, choice.ids), (rows.c.state, choice.states)):
            if values is not None:
                wanted.append(column.in_(values) if values else false())
        if choice.error is not None:
            errors = func.coalesce(rows.c.reason, "") + "\n" + func.coalesce(rows.c.traceback, "")
            wanted.append(func.lower(errors).contains(choice.error.lower(), autoescape=True))
        if choice.since is not None:
            wanted.append(rows.c.created_at >= _from_datetime(choice.since))
        if choice.until is not None:
            wanted.append(rows.c.created_at < _from_datetime(choice.until))
        return and_(rows.c.state.in_(State), *wanted)


def _from_datetime(moment: datetime) -> int:
    """Return a moment as the database has it; one without a zone is in the machine's."""
    return int(moment.timestamp() * MICRO)
