"""The outbox: where sends to durable receivers are recorded, in the caller's own transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, sessionmaker

from aldis.durable.current import running
from aldis.durable.store import Store
from aldis.durable.store.sql.connection import (
    SQLITE_BEGIN,
    adopt_sqlite_transaction,
    engines_of,
    prepare_sqlite,
)
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import NewDelivery
from aldis.errors import NoSessionError, OutboxError
from aldis.transactions import (
    buffer_of,
    listen_to_sessions,
    sqlalchemy_asyncio,
    sync_counterpart,
    use_session,
)

__all__ = ["Outbox", "check_outbox"]

_log = logging.getLogger("aldis")

_NOT_FOR_SYNC: Final = "the outbox has async sessions: make the receiver async, too, to use one"


class Outbox:
    """Records sends to durable receivers in the transaction of the caller's session.

    ::

        Aldis(app, outbox=Outbox(db.session))       # a Flask app's, with Flask-SQLAlchemy

        outbox = Outbox(engine=engine)              # anywhere else
        with Session(engine) as session, outbox.using(session):
            ...

    Args:
        session: Where the current session comes from: a ``scoped_session``, an
            ``async_scoped_session``, or a callable that returns the current session. Not a
            ``sessionmaker``, whose every session is a new one.
        engine: The engine of the application's database, sync or async. By default that of the
            session.
        prefix: What the names of the tables begin with.
        schema: The tables' schema, on PostgreSQL.
        no_transaction: What happens to a send while the session has begun no transaction: it is
            recorded in one of its ``"own"``, at once, or it is an ``"error"``. An ``AsyncSession``
            has no other choice than the error.
        immediate: On SQLite, have every transaction of the engine take the write lock when it
            begins. One that reads first and writes later fails otherwise when another has committed
            in between.
        notify: On PostgreSQL, tell workers of each commit. Its NOTIFY takes a lock that all
            committing transactions share.
        store: Where deliveries are kept, if not in the session's own database: for tests, a
            ``MemoryStore``.

    Raises:
        OutboxError: The session is none, or its database cannot keep deliveries.
    """

    def __init__(  # noqa: PLR0913 - each says one thing, and has a default
        self,
        session: Any = None,
        *,
        engine: Any = None,
        prefix: str = "aldis_",
        schema: str | None = None,
        no_transaction: Literal["own", "error"] = "own",
        immediate: bool = False,
        notify: bool = True,
        store: Store | None = None,
    ) -> None:
        _check_source(session)
        if no_transaction not in ("own", "error"):
            message = f"no_transaction is 'own' or 'error', not {no_transaction!r}"
            raise ValueError(message)
        listen_to_sessions()  # not in the middle of somebody's commit
        self._source = session
        self._engine: Engine | None = getattr(engine, "sync_engine", engine)
        self._no_transaction = no_transaction
        self._immediate = immediate
        self._store = store
        self._make = _SqlStores(prefix, schema, notify=notify, immediate=immediate)
        if self._engine is not None:
            self._make(self._engine)

    def __repr__(self) -> str:
        return f"<Outbox of {self._engine or self._source or self._store!r}>"

    # -- whose session ---------------------------------------------------------------------------

    def session(self) -> Any:
        """Return the current session.

        Raises:
            NoSessionError: There is none.
        """
        if self._source is None:
            if self._store is not None:
                return None
            delivery = running.get()
            if delivery is not None:
                return delivery.session
            message = (
                "this outbox has no session of its own; say which is the caller's: with "
                "outbox.using(session): ..."
            )
            raise NoSessionError(message)
        found = self._source()
        if found is None:
            message = f"there is no current session: {self._source!r} returned None"
            raise NoSessionError(message)
        return found

    @contextmanager
    def using(self, handle: Any = None) -> Iterator[None]:
        """Record what is sent in a ``with`` block in the transaction of ``handle``.

        Args:
            handle: A ``Session``, an ``AsyncSession``, a ``Connection``, or a scoped session. By
                default the outbox's own current session.

        Raises:
            NoSessionError: It is none of these.
        """
        if handle is None and self._source is not None:
            handle = self.session()
        if handle is not None and self._store is None:
            handle = sync_counterpart(handle)
            self.store_of(handle)  # before the first transaction, if it can be
        with use_session(self, handle):
            yield

    def open_session(self, *, is_async: bool = False) -> Any:
        """Return a session for a durable receiver: the current one of the app, else a new one.

        Args:
            is_async: Whether the receiver awaits what it does with it.

        Raises:
            NoSessionError: There is none of that kind.
        """
        if self._source is not None:
            if not is_async and _is_async_scoped(self._source):  # which only a task can call
                raise NoSessionError(_NOT_FOR_SYNC)
            session = self.session()
        elif self._store is not None:
            message = "the deliveries of this outbox are not in a database, and have no session"
            raise NoSessionError(message)
        elif self.engine.dialect.is_async:
            from sqlalchemy.ext.asyncio import (  # noqa: PLC0415 - it needs greenlet
                AsyncEngine,
                AsyncSession,
            )

            session = AsyncSession(AsyncEngine(self.engine))
        else:
            session = Session(self._for_receivers)
        if hasattr(session, "sync_session") and not is_async:
            raise NoSessionError(_NOT_FOR_SYNC)
        return session

    @cached_property
    def _for_receivers(self) -> Engine:
        """The engine of new sessions: on SQLite they begin as those who will write, to complete."""
        engine = self.engine
        if engine.dialect.name != "sqlite":
            return engine
        return engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})

    def close_session(self, session: Any) -> Any:
        """Let go of a session; one that is async answers with something to await."""
        return getattr(self._source, "remove", session.close)()

    # -- where -----------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The engine of the database in which deliveries are kept.

        Raises:
            NoSessionError: It is the current session's, and there is none.
            OutboxError: The session has several engines.
        """
        if self._engine is not None:
            return self._engine
        if _is_async_scoped(self._source):  # its registry asks for the task, and there may be none
            return _engine_of(self._source.session_factory().sync_session)
        return _engine_of(sync_counterpart(self.session()))

    @property
    def store(self) -> Store:
        """Where deliveries are kept.

        Raises:
            NoSessionError: It is in the current session's database, and there is none.
            OutboxError: Deliveries cannot be kept there.
        """
        return self._store if self._store is not None else self._make(self.engine).store

    def prepare(self) -> None:
        """Set up the engine before its first transaction; see :attr:`store` for what is raised."""
        _ = self.store

    def store_of(self, handle: Any) -> _Recorder:
        """Return what records in the database of ``handle``."""
        engine = self._engine or _engine_of(handle)
        recorder = self._make.known(engine)
        if recorder is None:
            recorder = self._make(engine)
            if recorder.store.kind == "sqlite" and handle.in_transaction():
                _adopt(handle, is_async=engine.dialect.is_async)
        return recorder

    # -- recording -------------------------------------------------------------------------------

    def record(self, handle: Any, delivery: NewDelivery) -> None:
        """Record a delivery in the transaction of ``handle``.

        In a session it is written when the transaction is about to be committed, with all others;
        in a connection at once.

        Raises:
            OutboxError: No transaction has begun (with ``no_transaction="error"``), or the database
                cannot store the delivery.
        """
        if self._store is not None:
            self._record_elsewhere(self._store, handle, delivery)
            return
        recorder = self.store_of(handle)
        if not handle.in_transaction():
            self._record_alone(recorder, handle, delivery)
        elif isinstance(handle, Connection):
            recorder.store.add(handle, [delivery])
        else:
            buffer_of(handle).write(handle, recorder, delivery)

    def _record_alone(self, recorder: _Recorder, handle: Any, delivery: NewDelivery) -> None:
        is_async = recorder.store.engine.dialect.is_async
        if is_async or self._no_transaction == "error":
            how = "async with session.begin(): ..." if is_async else "with session.begin(): ..."
            message = (
                f"{delivery.signal!r} was sent to durable receiver {delivery.receiver!r} while no "
                f"transaction had begun in {handle!r}: begin one ({how})"
                + ("" if is_async else ", or let the outbox use its own (no_transaction='own')")
            )
            raise OutboxError(message)
        recorder.store.add(None, [delivery])

    @staticmethod
    def _record_elsewhere(store: Store, handle: Any, delivery: NewDelivery) -> None:
        """Record in a store that has no part in the session's transaction: once that is over."""
        if hasattr(handle, "in_transaction") and hasattr(handle, "get_nested_transaction"):
            if not isinstance(handle, Connection) and handle.in_transaction():
                buffer_of(handle).call(handle, lambda: store.add(None, [delivery]))
                return
            handle = None
        store.add(handle, [delivery])


class _Recorder:
    """Writes what was collected in a session into one database."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store

    def write(self, session: Any, rows: Sequence[NewDelivery]) -> None:
        self.store.add(session, rows)

    def written(self) -> None:
        self.store.wake()

    def write_late(self, rows: Sequence[NewDelivery]) -> None:
        _log.warning(
            "%d durable deliveries were sent while their transaction was being committed; they are "
            "recorded in one of their own",
            len(rows),
        )
        self.store.add(None, rows)


class _SqlStores:
    """One store for each engine: in tests, each app has its own."""

    def __init__(self, prefix: str, schema: str | None, *, notify: bool, immediate: bool) -> None:
        self._prefix = prefix
        self._schema = schema
        self._notify = notify
        self._immediate = immediate
        self._recorders: WeakKeyDictionary[Engine, _Recorder] = WeakKeyDictionary()

    def known(self, engine: Engine) -> _Recorder | None:
        return self._recorders.get(engine)

    def __call__(self, engine: Engine) -> _Recorder:
        recorder = self._recorders.get(engine)
        if recorder is None:
            if engine.dialect.name == "sqlite":
                prepare_sqlite(engine, immediate=self._immediate)
            store = SqlStore(engine, prefix=self._prefix, schema=self._schema, notify=self._notify)
            recorder = self._recorders.setdefault(engine, _Recorder(store))
        return recorder


def check_outbox(outbox: Any, instead: str) -> None:
    """Refuse what is no outbox where one is wanted.

    Args:
        outbox: What was given.
        instead: What to give, as code.

    Raises:
        OutboxError: It is none.
    """
    if not isinstance(outbox, Outbox):
        message = f"an Outbox is wanted here, not {outbox!r}: {instead}"
        raise OutboxError(message)


def _check_source(source: Any) -> None:
    asyncio = sqlalchemy_asyncio()
    makers = (sessionmaker,) if asyncio is None else (sessionmaker, asyncio.async_sessionmaker)
    is_class = isinstance(source, type)
    if is_class or isinstance(source, makers):
        message = (
            f"an outbox needs the session that its caller is using, and a "
            f"{'class' if is_class else 'sessionmaker'} makes a new one each time; give it a "
            f"scoped_session, or none and say which with outbox.using(...)"
        )
        raise OutboxError(message)
    engines = (Engine,) if asyncio is None else (Engine, asyncio.AsyncEngine)
    if isinstance(source, (str, URL, *engines)):
        message = (
            f"an outbox takes an engine by name, Outbox(engine=engine), not "
            f"{'an address' if isinstance(source, (str, URL)) else repr(source)}"
        )
        raise OutboxError(message)
    if source is not None and not callable(source):
        message = (
            f"an outbox takes a scoped session or a callable that returns the current one, not "
            f"{source!r}; for one session, use: with outbox.using(session): ..."
        )
        raise OutboxError(message)


def _is_async_scoped(source: Any) -> bool:
    asyncio = sqlalchemy_asyncio()
    return asyncio is not None and isinstance(source, asyncio.async_scoped_session)


def _adopt(handle: Any, *, is_async: bool) -> None:
    """Have a transaction that has begun roll back as a whole, or refuse."""
    if not isinstance(handle, Connection):
        if not engines_of(handle):
            return  # the database has not heard of it yet
        if is_async:
            message = (
                "this transaction of an async session has used SQLite before the outbox was known "
                "to the engine, and might not roll back as a whole; use the outbox earlier, or "
                "name its engine: Outbox(session, engine=engine)"
            )
            raise OutboxError(message)
        handle = handle.connection()
    adopt_sqlite_transaction(handle)


def _engine_of(handle: Any) -> Engine:
    """Return the one engine of a session or connection."""
    if isinstance(handle, Connection):
        return handle.engine
    try:
        bind: Any = handle.get_bind()
    except UnboundExecutionError as error:
        message = (
            "the session has no engine for tables that no model stands for: say which database the "
            "outbox is in, Outbox(session, engine=engine)"
        )
        raise OutboxError(message) from error
    engine: Engine = bind.engine
    return engine
