"""The store in an SQL database: SQLite, PostgreSQL, MariaDB or MySQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, Table, bindparam, insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from aldis.durable.store import Notifier
from aldis.durable.store.sql.admin import OperatorSide
from aldis.durable.store.sql.claim import WorkerSide
from aldis.durable.store.sql.connection import Database, translated
from aldis.durable.store.sql.notify import make_notifier
from aldis.durable.store.sql.tables import MICRO, now, tables
from aldis.durable.types import NewDelivery
from aldis.errors import OutboxError

__all__ = ["SqlStore", "engines_of"]

#: The columns that a sender fills, and the attribute of :class:`NewDelivery` that each one holds.
WRITTEN: Final = {
    "emission_id": "emission_id",
    "receiver": "receiver",
    "signal": "signal",
    "payload": "payload",
    "order_key": "order_key",
    "cause": "caused_by",
    "traceparent": "traceparent",
}

#: Up to how many rows there is a statement for every number of them.
FEW: Final = 64

#: How many rows one statement writes at most; a power of two.
MANY: Final = 256


class SqlStore(WorkerSide, OperatorSide):
    """Keeps deliveries in the application's own database.

    Args:
        engine: The application's engine.
        prefix: What the names of the tables begin with.
        schema: The tables' schema, where the database has such.
        notify: Whether a commit wakes workers at once, on PostgreSQL. Its NOTIFY takes a lock that
            all committing transactions share; without it workers look every now and then.

    Raises:
        OutboxError: Deliveries cannot be kept in a database of this kind.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        prefix: str = "aldis_",
        schema: str | None = None,
        notify: bool = True,
    ) -> None:
        super().__init__(Database(engine), tables(MetaData(schema=schema), prefix))
        self.engine = engine
        self.prefix = prefix
        self.schema = schema
        self._notify = notify and self._db.kind == "postgresql"
        self._statement = lru_cache(maxsize=2 * FEW)(self._statement_of)
        self._notifiers: list[Notifier] = []

    @property
    def kind(self) -> str:
        """``"sqlite"``, ``"postgresql"`` or ``"mysql"``."""
        return self._db.kind

    @property
    def channel(self) -> str:
        """The channel on which PostgreSQL tells of new deliveries."""
        return self._tables.deliveries.name

    def check(self) -> None:
        """Make sure that the tables are there, and of this version."""
        from aldis.durable.store.sql.migrate import check  # noqa: PLC0415 - it brings Alembic

        check(self.engine, self.prefix, self.schema)

    def add(self, handle: Any, deliveries: Sequence[NewDelivery]) -> None:
        """Record deliveries in the transaction of ``handle``, or in one of their own."""
        if handle is None:
            self._db.write(lambda connection: self._insert(connection, deliveries))
            self.wake()
            return
        with translated(self._db.kind):
            self._insert(self.connection_of(handle), deliveries)

    def connection_of(self, handle: Any) -> Connection:
        """Return the connection of a session or connection to this database.

        Raises:
            OutboxError: It has another database, or several: they are not committed as one.
        """
        if isinstance(handle, Connection):
            if handle.engine.url != self.engine.url:
                raise OutboxError(_elsewhere([handle.engine.url, self.engine.url]))
            return handle
        # The session's own engine is perhaps a copy of this one, with other options.
        own = len(engines_of(handle)) == 1 or _is_bound_to(handle, self.engine)
        connection: Connection = handle.connection(
            bind_arguments=None if own else {"bind": self.engine}
        )
        engines = {each.url for each in engines_of(handle)} | {self.engine.url}
        if len(engines) > 1:
            raise OutboxError(_elsewhere(sorted(engines, key=str)))
        return connection

    def _insert(self, connection: Connection, deliveries: Sequence[NewDelivery]) -> None:
        start = 0
        for size in _sizes(len(deliveries)):
            batch = deliveries[start : start + size]
            start += size
            late = any(each.delay for each in batch)
            statement, names = self._statement(len(batch), late)
            values: dict[str, Any] = {}
            for number, each in enumerate(batch):
                for column, attribute in WRITTEN.items():
                    values[f"{column}_{number}"] = getattr(each, attribute)
                if late:
                    values[f"delay_{number}"] = int(each.delay * MICRO)
            bound: Any = tuple(values[name] for name in names) if names is not None else values
            connection.exec_driver_sql(statement, bound)

    def _statement_of(self, count: int, late: bool) -> tuple[str, Sequence[str] | None]:
        """Return one INSERT for ``count`` rows, and its parameters in order.

        SQLAlchemy compiles an INSERT of several rows anew each time; this one is kept.
        """
        table: Table = self._rows
        rows = []
        for number in range(count):
            row: dict[str, Any] = {
                name: bindparam(f"{name}_{number}", type_=table.c[name].type) for name in WRITTEN
            }
            if late:
                row["due_at"] = now() + bindparam(f"delay_{number}", type_=table.c.due_at.type)
            rows.append(row)
        statement = insert(table).values(rows)
        compiled = statement.compile(dialect=self.engine.dialect)
        text = str(compiled)
        if self._notify:
            text += f" RETURNING pg_notify('{self.channel}', '')"
        return text, compiled.positiontup

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Begin a transaction, in a session."""
        with Session(self.engine) as session, session.begin():
            yield session

    def kept_open(self) -> AbstractContextManager[None]:
        """Keep connections for the calling thread."""
        shared = isinstance(self.engine.pool, (StaticPool, SingletonThreadPool))
        # One connection for everybody cannot be kept; nor one of an event loop, for a thread.
        return nullcontext() if shared or self.engine.dialect.is_async else self._db.kept_open()

    # -- waking ----------------------------------------------------------------------------------

    def notifier(self) -> Notifier:
        """Return what waits for new deliveries; close it."""
        notifier: Notifier = make_notifier(self._db, self.channel, self._notifiers.remove)
        self._notifiers.append(notifier)
        return notifier

    def wake(self) -> None:
        """Wake the workers of this process."""
        for notifier in list(self._notifiers):
            notifier.wake()


def _sizes(count: int) -> Iterator[int]:
    """Divide ``count`` rows into statements of few sizes, since each is kept."""
    while count > FEW:
        size = min(MANY, 1 << (count.bit_length() - 1))
        yield size
        count -= size
    if count:
        yield count


def engines_of(session: Session) -> set[Engine]:
    """Return the engines that take part in the transaction of ``session``."""
    root = session.get_transaction()
    if root is None:
        return set()
    known = getattr(root, "connections", None)  # new in SQLAlchemy 2.1
    if known is None:
        known = {each[0] for each in root._connections.values()}  # noqa: SLF001 - as 2.0 has it
    return {connection.engine for connection in known}


def _is_bound_to(session: Session, engine: Engine) -> bool:
    """Tell whether the engine of ``session`` has the database of ``engine``."""
    bind = session.bind
    return bind is not None and bind.engine.url == engine.url


def _elsewhere(urls: Sequence[Any]) -> str:
    names = " and ".join(repr(url) for url in urls)
    return (
        f"a delivery cannot be recorded atomically across databases: this transaction uses {names};"
        " record it in a session of the outbox's own database (with outbox.using(session): ...)"
    )
