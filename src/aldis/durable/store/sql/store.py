"""The store in an SQL database: SQLite, PostgreSQL, MariaDB or MySQL.

This module chooses the transactions and wakes the workers. The modules beside it have the SQL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from time import monotonic
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Dialect, Engine, MetaData, Table, bindparam, insert, select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from aldis.durable._log import get_logger
from aldis.durable.store.base import Notifier
from aldis.durable.store.sql import (
    admin,
    breaker,
    claim,
    leases,
    migrate,
    ordering,
    served,
)
from aldis.durable.store.sql.claim import storable
from aldis.durable.store.sql.connection import Database, connection_of
from aldis.durable.store.sql.errors import translated
from aldis.durable.store.sql.fork import watch_forks
from aldis.durable.store.sql.notify import make_notifier, notify
from aldis.durable.store.sql.tables import BATCH, MICRO, UNTRANSLATED, Tables, now, tables
from aldis.durable.types import (
    AttemptFailure,
    BreakerState,
    ClaimedDelivery,
    Delivery,
    DeliveryFilter,
    DueReceiver,
    NewDelivery,
    ObservedDelivery,
    ReceiverStats,
    RescueResult,
    RunLimit,
    State,
)
from aldis.errors import OutboxError, PayloadError

__all__ = ["SqlStore"]

_log = get_logger()

P = ParamSpec("P")
T = TypeVar("T")

#: The columns that a sender fills, and the attribute of :class:`NewDelivery` that each one holds.
_WRITTEN: Final = {
    "emission_id": "emission_id",
    "receiver": "receiver",
    "signal": "signal",
    "payload": "payload",
    "order_key": "order_key",
    "cause": "caused_by",
    "traceparent": "traceparent",
}

#: Up to this many rows, there is an INSERT statement for each number of rows.
_FEW: Final = 64

#: The most characters of payloads in one INSERT on MariaDB. Escaped and in UTF-8, they take at most
#: a few times as many bytes, and every server accepts a megabyte.
_SAFE_SIZE: Final = 200_000

#: The largest number of rows in one INSERT statement; a power of two.
_MANY: Final = 256


class SqlStore:
    """Keeps deliveries in the application's own database.

    :class:`~aldis.durable.store.Store` describes the methods.

    Args:
        engine: The application's engine.
        prefix: The start of the tables' names.
        schema: The schema of the tables, on PostgreSQL.
        notify: Whether each commit wakes the workers at once, on PostgreSQL. NOTIFY takes a lock
            that all committing transactions share; without it, workers poll.

    Attributes:
        engine: The application's engine.
        prefix: The start of the tables' names.
        schema: The schema of the tables, or ``None``.
        kind: ``"sqlite"``, ``"postgresql"`` or ``"mysql"``.
        channel: The name of PostgreSQL's channel for new deliveries.

    Raises:
        OutboxError: This database cannot keep deliveries.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        prefix: str = "aldis_",
        schema: str | None = None,
        notify: bool = True,
    ) -> None:
        _refuse_translation(engine, schema)
        watch_forks(engine)
        self.engine = engine
        self.prefix = prefix
        self.schema = schema
        self._db = Database(engine)
        self.kind: str = self._db.kind
        self._tables = tables(MetaData(schema=schema), prefix)
        self.channel: str = self._tables.deliveries.name
        self._notifies = notify and self.kind == "postgresql"
        self._statements = claim.ClaimStatements(self.kind, self._tables)
        self._insert_statement = lru_cache(maxsize=2 * _FEW)(self._build_insert)
        self._clock = _Clock()
        self._notifiers: list[Notifier] = []
        self._max_packet: int | None = None  # of MariaDB, in bytes, once it was needed

    def check(self) -> None:
        """Check that the tables exist and have the version of this aldis."""
        migrate.check(self.engine, self.prefix, self.schema)

    # -- senders ---------------------------------------------------------------------------------

    def add(self, handle: Session | Connection | None, deliveries: Sequence[NewDelivery]) -> None:
        """Record deliveries in the transaction of ``handle``, or in a new one."""
        if handle is None:
            self._db.write(self._insert, deliveries)
            self.wake()
            return
        with translated(self.kind):
            self._insert(connection_of(handle, self.engine), deliveries)

    def check_size(self, handle: Session | Connection, delivery: NewDelivery) -> None:
        """Check that MariaDB accepts the statement that will record a delivery.

        Raises:
            PayloadError: The statement is larger than the server's ``max_allowed_packet``.
        """
        if self.kind != "mysql" or len(delivery.payload) < _SAFE_SIZE:
            return
        if self._max_packet is None:
            with translated(self.kind):
                connection = connection_of(handle, self.engine)
                asked = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()
            self._max_packet = int(asked)
        if _size_in_statement(delivery.payload) + _SAFE_SIZE // 2 > self._max_packet:
            raise PayloadError(_too_large(delivery, self._max_packet))

    def _insert(self, connection: Connection, deliveries: Sequence[NewDelivery]) -> None:
        for batch in _batches(deliveries, by_size=self.kind == "mysql"):
            delayed = any(each.delay for each in batch)
            statement, names = self._insert_statement(len(batch), delayed)
            values: dict[str, Any] = {}
            for number, each in enumerate(batch):
                for column, attribute in _WRITTEN.items():
                    values[f"{column}_{number}"] = getattr(each, attribute)
                if delayed:
                    values[f"delay_{number}"] = int(each.delay * MICRO)
            bound: Any = tuple(values[name] for name in names) if names is not None else values
            connection.exec_driver_sql(statement, bound)
        observed = [each for each in deliveries if isinstance(each, ObservedDelivery)]
        if observed:
            self._report_ids(connection, observed)

    def _report_ids(self, connection: Connection, observed: Sequence[ObservedDelivery]) -> None:
        """Show observers the ids of the deliveries that were recorded."""
        rows = self._tables.deliveries.c
        sends = {each.emission_id for each in observed}
        found = connection.execute(
            select(rows.emission_id, rows.receiver, rows.id).where(rows.emission_id.in_(sends)),
            execution_options=UNTRANSLATED,
        )
        ids = {(send, receiver): delivery_id for send, receiver, delivery_id in found}
        for each in observed:
            each.report("recorded", ids.get((each.emission_id, each.receiver)))

    def _build_insert(self, count: int, delayed: bool) -> tuple[str, Sequence[str] | None]:
        text, names = _compiled_insert(
            self._tables.deliveries, count, self.engine.dialect, delayed=delayed
        )
        if self._notifies:
            text += f" RETURNING pg_notify('{self.channel}', '')"
        return text, names

    @property
    def notifies(self) -> bool:
        """Whether each commit wakes the workers by NOTIFY."""
        return self._notifies

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Begin a transaction in a new session."""
        with Session(self.engine) as session, session.begin():
            yield session

    # -- workers ---------------------------------------------------------------------------------

    def kept_open(self) -> AbstractContextManager[None]:
        """Keep the calling thread's connections open during a ``with`` block."""
        return self._db.kept_open()

    def watched(self) -> AbstractContextManager[None]:
        """Let :meth:`break_stalled` break the connections of receivers, too, during a block."""
        return self._db.watch.listening()

    def break_stalled(self, seconds: float) -> int:
        """Break the connections on which a worker's statement takes longer than ``seconds``."""
        return self._db.break_stalled(seconds)

    def with_own_connections(self) -> SqlStore | None:
        """Return a store for another event loop, or ``None`` if the pool has one connection."""
        pool = self.engine.pool
        if isinstance(pool, (StaticPool, SingletonThreadPool)):
            return None
        engine = Engine(
            pool.recreate(),
            self.engine.dialect,
            self.engine.url,
            hide_parameters=self.engine.hide_parameters,
            execution_options=self.engine.get_execution_options(),
        )
        return SqlStore(engine, prefix=self.prefix, schema=self.schema, notify=False)

    def drop_connections(self) -> None:
        """Use none of the present connections for a new transaction."""
        self._db.drop_connections()

    def register_worker(self, worker: str, name: str, lease: float) -> None:
        """Begin a lease."""
        self._db.write(leases.begin, self._tables, worker, name, lease)

    def heartbeat(self, worker: str, lease: float) -> bool:
        """Renew a lease; return false if it was taken away."""
        return self._db.write(leases.renew, self._tables, worker, lease)

    def unregister_worker(self, worker: str) -> int:
        """End a lease and release its deliveries; return their number."""
        return self._db.write(leases.end, self._tables, worker)

    def rescue(self) -> RescueResult:
        """Take the deliveries of every worker whose lease has expired."""
        # A transaction that writes waits for other writers and for the disk, so this reads first.
        if not self._db.read(leases.rescue_needed, self._tables):
            return RescueResult()
        workers = self._db.write(leases.end_expired, self._tables)
        count = 0
        dead: list[Delivery] = []
        while batch := self._db.write(leases.rescue, self._tables):
            count += batch.deliveries
            dead += batch.dead
        return RescueResult(count, workers, tuple(dead))

    def due(self, receivers: Sequence[str]) -> list[DueReceiver]:
        """Return which receivers have waiting deliveries, and when the first one is due."""
        if not receivers:
            return []
        present, found = self._db.read(claim.due, self._statements, receivers)
        if (
            present is not None
            and self._clock.was_set_back(present)
            and self._db.read(claim.has_recorded_later, self._tables, receivers)
        ):
            count = self._db.write(claim.repair_times, self._tables, receivers)
            _log.warning(
                "the clock of the database was set back: %d deliveries that were recorded before "
                "count their delays from now on",
                count,
            )
            _, found = self._db.read(claim.due, self._statements, receivers)
        return found

    def claim(  # noqa: PLR0913 - each option limits the claim in another way
        self,
        worker: str,
        receiver: str,
        limit: int,
        *,
        ordered: bool,
        exclusive: bool = False,
        at_most: RunLimit | None = None,
        run: int = 1,
    ) -> list[ClaimedDelivery]:
        """Give due deliveries of a receiver to a worker."""
        state = State.QUARANTINED if exclusive else State.PENDING
        run = 1 if exclusive else run
        wanted = {"receiver_": receiver, "lease": worker, "limit": limit}
        if at_most is not None:
            taken = self._take_limited(state, wanted, at_most, ordered=ordered, run=run)
            return self._without_clashes(taken) if ordered else taken
        if not ordered and self.kind == "postgresql":
            return self._db.autocommit(claim.take_unordered, self._statements, state, wanted)
        taken = self._db.write_async_commit(
            claim.take, self._statements, state, wanted, ordered=ordered, run=run
        )
        return self._without_clashes(taken) if ordered else taken

    def _take_limited(
        self, state: State, wanted: dict[str, Any], at_most: RunLimit, *, ordered: bool, run: int
    ) -> list[ClaimedDelivery]:
        """Claim as many deliveries as may still run."""

        def take(connection: Connection) -> list[ClaimedDelivery]:
            room = served.room(connection, self._tables, at_most.names, at_most.most)
            if not room:
                return []
            some = {**wanted, "limit": min(room, wanted["limit"])}
            return claim.take(connection, self._statements, state, some, ordered=ordered, run=run)

        return self._db.write_async_commit(take)

    def _without_clashes(self, claimed: list[ClaimedDelivery]) -> list[ClaimedDelivery]:
        """Release the deliveries whose key another worker claimed at the same time.

        Neither worker sees the other's claim before it is committed. The worker that commits last
        sees it here.
        """
        keyed = [each for each in claimed if each.order_key is not None]
        if not keyed or self.kind == "sqlite":  # SQLite has one writer at a time
            return claimed
        clashing = self._db.read(ordering.clashing, self._statements.runs, keyed)
        if clashing:
            self.release([each for each in claimed if each.id in clashing])
        return [each for each in claimed if each.id not in clashing]

    def register_receivers(self, names: Sequence[str]) -> None:
        """Record that a worker serves receivers now."""
        self._db.write(served.register, self._tables, names)

    def registered_receivers(self) -> dict[str, float]:
        """Return for how many seconds no worker has registered each known receiver."""
        return self._db.read(served.seen, self._tables)

    def complete(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Complete the deliveries that their worker still holds; return their number."""
        count = 0
        for batch, keyed in claim.alike(claimed):
            if self.kind == "postgresql" and not keyed:
                count += self._db.autocommit(claim.complete_unordered, self._statements, batch)
            else:
                count += self._db.write_async_commit(claim.complete, self._statements, batch)
        return count

    def complete_in(self, session: Session | Connection, claimed: ClaimedDelivery) -> bool:
        """Complete a delivery in the transaction of ``session``; return false if it was lost."""
        with translated(self.kind):
            connection = connection_of(session, self.engine)
            return claim.complete_one(connection, self._statements, claimed)

    def unblock(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Unblock the next delivery of each key of completed deliveries; return their number."""
        if self.kind == "sqlite":  # complete_in() has done it
            return 0
        rows = self._tables.deliveries
        return self._db.write_async_commit(ordering.unblock_next, rows, claimed)

    def fail(self, claimed: ClaimedDelivery, failure: AttemptFailure) -> bool:
        """Retry a delivery later, or make it a dead letter; return false if it was lost."""
        try:
            return self._db.write(claim.fail, self._tables, claimed, failure, encoding="utf-8")
        except OutboxError as error:
            if not isinstance(error.__cause__, (UnicodeError, DataError)):
                raise
            # The database is not in UTF-8. An escaped error is better than a worker that stops.
            return self._db.write(claim.fail, self._tables, claimed, failure, encoding="ascii")

    def release(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Make claimed deliveries pending again without counting an attempt."""
        return self._db.write(claim.release, self._tables, claimed) if claimed else 0

    def repair_order(self) -> int:
        """Unblock deliveries that a race left blocked by nothing; return their number."""
        rows = self._tables.deliveries
        if not self._db.read(ordering.has_wrongly_blocked, rows):
            return 0
        return sum(iter(lambda: self._db.write(ordering.unblock_wrongly_blocked, rows), 0))

    def open_breaker(self, receiver: str, failures: int, reason: str, pause: float) -> bool:
        """Pause a receiver that fails; return false if it was paused already."""
        said = storable(reason, "ascii")
        return self._db.write(breaker.open_breaker, self._tables, receiver, failures, said, pause)

    def breakers(self) -> list[BreakerState]:
        """Return the receivers that workers have paused."""
        return self._db.read(breaker.breakers, self._tables)

    def begin_trial(self, worker: str, receiver: str, pause: float) -> bool:
        """Let a lease claim deliveries of a receiver that workers have paused."""
        return self._db.write(breaker.begin_trial, self._tables, worker, receiver, pause)

    def fail_trial(self, receiver: str, reason: str) -> bool:
        """Count a failed trial; return false if the workers have not paused the receiver."""
        return self._db.write(breaker.fail_trial, self._tables, receiver, storable(reason, "ascii"))

    def close_breaker(self, receiver: str) -> bool:
        """End a pause by the workers; return false if there is none."""
        return self._write_and_notify(breaker.close_breaker, self._tables, receiver)

    def notifier(self) -> Notifier:
        """Return a new notifier. The caller closes it."""
        notifier = make_notifier(
            self._db, self.channel, self._notifiers.remove, listens=self._notifies
        )
        self._notifiers.append(notifier)
        return notifier

    def wake(self) -> None:
        """Wake the workers of this process."""
        for notifier in list(self._notifiers):
            notifier.wake()

    # -- operators -------------------------------------------------------------------------------

    def read(
        self,
        work: Callable[Concatenate[Connection, Tables, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call ``work(connection, tables, ...)`` with a connection for reading."""
        return self._db.read(work, self._tables, *args, **kwargs)

    def write(
        self,
        work: Callable[Concatenate[Connection, Tables, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call ``work(connection, tables, ...)`` in a transaction and commit it."""
        return self._db.write(work, self._tables, *args, **kwargs)

    def stats(self) -> list[ReceiverStats]:
        """Count the deliveries of each receiver that has any or is paused, sorted by name."""
        return self._db.read(admin.stats, self._tables)

    def find(
        self, where: DeliveryFilter, *, limit: int, newest_first: bool = False
    ) -> list[Delivery]:
        """Return the selected deliveries in the order of their ids."""
        return self._db.read(admin.find, self._tables, where, limit, newest_first=newest_first)

    def count(self, where: DeliveryFilter) -> int:
        """Count the selected deliveries."""
        return self._db.read(admin.count, self._tables, where)

    def replay(self, where: DeliveryFilter, *, batch: int | None = None) -> Iterator[int]:
        """Make the selected dead and discarded deliveries pending again; yield batch sizes."""
        last = 0
        while changed := self._write_and_notify(
            admin.change, self._tables, admin.REPLAY, where, last, min(batch or BATCH, BATCH)
        ):
            last = changed[-1].id
            yield len(changed)

    def discard(self, where: DeliveryFilter) -> Iterator[int]:
        """Discard the selected deliveries that are waiting, blocked or dead; yield batch sizes."""
        last = 0
        keys: dict[tuple[str, str | None], Any] = {}
        while changed := self._db.write(
            admin.change, self._tables, admin.DISCARD, where, last, BATCH
        ):
            last = changed[-1].id
            keys |= {(row.receiver, row.order_key): row for row in changed}
            yield len(changed)
        # Only now: a delivery that this unblocks must not be selected, too. If the caller stopped
        # before, the worker's repair_order() unblocks them.
        ended = list(keys.values())
        for start in range(0, len(ended), BATCH):
            self._write_and_notify(
                ordering.unblock_next, self._tables.deliveries, ended[start : start + BATCH]
            )

    def pause(self, receiver: str) -> bool:
        """Stop claims for a receiver; return false if it was paused already."""
        return self._db.write(admin.pause, self._tables, receiver)

    def resume(self, receiver: str) -> bool:
        """Allow claims for a receiver again; return false if it was not paused."""
        return self._write_and_notify(admin.resume, self._tables, receiver)

    def prune(self, older_than: float) -> Iterator[int]:
        """Delete deliveries that ended ``older_than`` seconds ago; yield batch sizes."""
        while deleted := self._db.write(admin.prune, self._tables, older_than):
            yield deleted

    def count_prunable(self, older_than: float) -> int:
        """Count the deliveries that :meth:`prune` would delete."""
        return self._db.read(admin.count_prunable, self._tables, older_than)

    def _write_and_notify(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call ``work`` in a transaction. If it changed anything, wake the workers."""

        def run(connection: Connection) -> T:
            changed = work(connection, *args, **kwargs)
            if changed and self._notifies:
                notify(connection, self.channel)
            return changed

        changed = self._db.write(run)
        if changed:
            self.wake()
        return changed


def _refuse_translation(engine: Engine, schema: str | None) -> None:
    """Check that the engine does not move the outbox's tables to another schema.

    Raises:
        OutboxError: It does.
    """
    schemas = engine.get_execution_options().get("schema_translate_map") or {}
    if schema in schemas:
        message = (
            f"the engine has schema_translate_map={dict(schemas)!r}, which does not apply to the "
            f"outbox's tables: name their schema, Outbox(schema={schemas[schema]!r}), or give the "
            "outbox an engine without the map, Outbox(engine=engine)"
        )
        raise OutboxError(message)


class _Clock:
    """Compares the database's clock with the steady clock of this machine."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # how far the database's clock is ahead, in microseconds

    def was_set_back(self, present: float) -> bool:
        """Tell whether the database's clock was set back, by its present time.

        At the first call, this is unknown and the answer is yes.
        """
        ahead = present - monotonic() * MICRO
        before, self._ahead = self._ahead, ahead
        if before is not None and ahead > before - MICRO:
            self._ahead = max(before, ahead)
            return False
        return True


def _batches(
    deliveries: Sequence[NewDelivery], *, by_size: bool
) -> Iterator[Sequence[NewDelivery]]:
    """Divide deliveries into the rows of one INSERT statement each.

    Args:
        deliveries: The deliveries.
        by_size: Whether to limit the size of a statement, too.
    """
    parts = _parts_by_size(deliveries) if by_size else [deliveries]
    for part in parts:
        start = 0
        for size in _insert_sizes(len(part)):
            yield part[start : start + size]
            start += size


def _parts_by_size(deliveries: Sequence[NewDelivery]) -> Iterator[Sequence[NewDelivery]]:
    """Divide deliveries so that no part is too large for one statement, unless a single one is."""
    start, size = 0, 0
    for index, each in enumerate(deliveries):
        length = len(each.payload)
        if size + length > _SAFE_SIZE and index > start:
            yield deliveries[start:index]
            start, size = index, 0
        size += length
    yield deliveries[start:]


def _size_in_statement(text: str) -> int:
    """Return the bytes of a text in a statement in which the driver escapes it."""
    return len(text.encode()) + sum(map(text.count, "\"\\'\n\r\x1a"))


def _too_large(delivery: NewDelivery, limit: int) -> str:
    arguments = json.loads(delivery.payload).get("payload", {})
    sizes = {name: len(json.dumps(value)) for name, value in arguments.items()}
    largest = max(sizes, key=lambda name: sizes[name], default="sender")
    return (
        f"argument {largest!r} of signal {delivery.signal!r} makes a delivery to "
        f"{delivery.receiver!r} of {len(delivery.payload):,} characters, and the server's "
        f"max_allowed_packet is {limit:,} bytes: record less with payload= (an id, say), or raise "
        "max_allowed_packet"
    )


def _insert_sizes(count: int) -> Iterator[int]:
    """Divide ``count`` rows into INSERTs of few different sizes, because statements are cached."""
    while count > _FEW:
        size = min(_MANY, 1 << (count.bit_length() - 1))
        yield size
        count -= size
    if count:
        yield count


def _compiled_insert(
    table: Table, count: int, dialect: Dialect, *, delayed: bool
) -> tuple[str, Sequence[str] | None]:
    """Compile an INSERT of ``count`` rows; return its text and the order of its parameters.

    SQLAlchemy compiles an INSERT of several rows each time, so the store caches the result.
    """
    rows = []
    for number in range(count):
        row: dict[str, Any] = {
            name: bindparam(f"{name}_{number}", type_=table.c[name].type) for name in _WRITTEN
        }
        if delayed:
            row["due_at"] = now() + bindparam(f"delay_{number}", type_=table.c.due_at.type)
        rows.append(row)
    compiled = insert(table).values(rows).compile(dialect=dialect)
    return str(compiled), compiled.positiontup
