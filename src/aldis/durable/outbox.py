"""The outbox: records sends to durable receivers in the caller's own transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, TwoPhaseTransaction
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, sessionmaker

from aldis.core.process import cached_property
from aldis.durable._log import get_logger
from aldis.durable.current import running
from aldis.durable.store import Store
from aldis.durable.store.sql.connection import (
    SQLITE_BEGIN,
    adopt_sqlite_transaction,
    engines_of,
    prepare_sqlite,
)
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import NewDelivery, ObservedDelivery
from aldis.errors import NoSessionError, OutboxError
from aldis.transactions import (
    buffer_of,
    listen_to_sessions,
    sqlalchemy_asyncio,
    sync_counterpart,
    use_session,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_scoped_session
    from sqlalchemy.orm import scoped_session

    SessionSource = (
        scoped_session[Any]
        | async_scoped_session[Any]
        | Callable[[], Session | AsyncSession | None]
    )
    SessionHandle = (
        Session | AsyncSession | Connection | scoped_session[Any] | async_scoped_session[Any]
    )

__all__ = ["Outbox", "check_outbox"]

_log = get_logger()

_NOT_FOR_SYNC: Final = "the outbox has async sessions, which only an async receiver can use"


class Outbox:
    """Records sends to durable receivers in the caller's transaction.

    ::

        Aldis(app, outbox=Outbox(db.session))       # a Flask app with Flask-SQLAlchemy

        outbox = Outbox(engine=engine)              # anywhere else
        with Session(engine) as session, outbox.using(session):
            ...

    Args:
        session: Provides the current session: a ``scoped_session``, an ``async_scoped_session``, or
            a function that returns the current session. A ``sessionmaker`` cannot be used, because
            it makes a new session at each call.
        engine: The application's engine, sync or async. The default is the engine
            of the session.
        prefix: The prefix of the table names.
        schema: The schema of the tables, on PostgreSQL.
        no_transaction: Decides about a send if the session has not begun a transaction. ``"own"``
            records it at once, in a separate transaction. ``"error"`` raises an error. With an
            ``AsyncSession``, it is always an error.
        immediate: On SQLite, make each transaction of the engine take the write lock when it
            begins. Otherwise, a transaction that reads first and writes later fails if another
            transaction has committed in between.
        notify: On PostgreSQL, notify workers of each commit. NOTIFY takes one lock that all
            committing transactions share.
        store: Keeps the deliveries outside the session's database, for tests: a ``MemoryStore``.

    Raises:
        OutboxError: ``session`` does not provide a session, or its database is not supported.
    """

    def __init__(  # noqa: PLR0913 - each option has its own default and meaning
        self,
        session: SessionSource | None = None,
        *,
        engine: Engine | AsyncEngine | None = None,
        prefix: str = "aldis_",
        schema: str | None = None,
        no_transaction: Literal["own", "error"] = "own",
        immediate: bool = False,
        notify: bool = True,
        store: Store | None = None,
    ) -> None:
        _check_source(session)
        if no_transaction not in ("own", "error"):
            message = f"no_transaction must be 'own' or 'error', not {no_transaction!r}"
            raise ValueError(message)
        listen_to_sessions()  # now, because later a commit may be under way
        self._source: Any = session
        given: Any = engine
        self._engine: Engine | None = getattr(given, "sync_engine", given)
        self._no_transaction = no_transaction
        self._immediate = immediate
        self._store = store
        self._make = _SqlStores(prefix, schema, notify=notify, immediate=immediate)
        if self._engine is not None:
            self._make(self._engine)

    def __repr__(self) -> str:
        return f"<Outbox of {self._engine or self._source or self._store!r}>"

    # -- the session -----------------------------------------------------------------------------

    def session(self) -> Session | AsyncSession | None:
        """Return the current session. ``None`` means that the store needs no session.

        Raises:
            NoSessionError: No session is current.
        """
        if self._source is None:
            if self._store is not None:
                return None
            delivery = running.get()
            if delivery is not None:
                return delivery.session
            message = (
                "this outbox was made without a session; name the caller's session: with "
                "outbox.using(session): ..."
            )
            raise NoSessionError(message)
        found: Session | AsyncSession | None = self._source()
        if found is None:
            message = f"there is no current session: {self._source!r} returned None"
            raise NoSessionError(message)
        return found

    def open_sessions(self) -> list[Session]:
        """Return the session that is open in this thread or task. This never opens a session."""
        registry = getattr(self._source, "registry", None)
        try:
            if registry is None or not registry.has():
                return []
        except RuntimeError:  # its scope is an app context, and it has ended
            return []
        found = sync_counterpart(registry())
        return [found] if isinstance(found, Session) else []

    @contextmanager
    def using(self, handle: SessionHandle | None = None) -> Iterator[None]:
        """Record the sends of a ``with`` block in the transaction of ``handle``.

        Args:
            handle: A ``Session``, an ``AsyncSession``, a ``Connection``, or a scoped session. The
                default is the outbox's own current session.

        Raises:
            NoSessionError: ``handle`` is none of these.
        """
        used: Any = self.session() if handle is None and self._source is not None else handle
        if used is not None and self._store is None:
            used = sync_counterpart(used)
            self.store_of(used)  # prepares the engine before its first transaction, if possible
        with use_session(self, used):
            yield

    def open_session(self, *, is_async: bool = False) -> Session | AsyncSession:
        """Return a session for a durable receiver: the app's current session, or a new one.

        Args:
            is_async: Whether the receiver is async.

        Raises:
            NoSessionError: Such a receiver has no session to use.
        """
        session: Any
        if self._source is not None:
            # An async scoped session can be called in a task only.
            if not is_async and _is_async_scoped(self._source):
                raise NoSessionError(_NOT_FOR_SYNC)
            session = self.session()
        elif self._store is not None:
            message = "this outbox keeps its deliveries outside a database, so it has no session"
            raise NoSessionError(message)
        elif self.engine.dialect.is_async:
            from sqlalchemy.ext.asyncio import (  # noqa: PLC0415 - greenlet is optional
                AsyncEngine,
                AsyncSession,
            )

            session = AsyncSession(AsyncEngine(self.engine))
        else:
            session = Session(self._for_receivers)
        if hasattr(session, "sync_session") and not is_async:
            raise NoSessionError(_NOT_FOR_SYNC)
        opened: Session | AsyncSession = session
        return opened

    @cached_property
    def _for_receivers(self) -> Engine:
        """The engine of new sessions. On SQLite, it takes the write lock when a transaction begins.

        The transaction will write the completion, so a lock taken later could fail.
        """
        engine = self.engine
        if engine.dialect.name != "sqlite":
            return engine
        return engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})

    def close_session(self, session: Session | AsyncSession) -> Any:
        """Close a session of :meth:`open_session`. An async session returns an awaitable."""
        return getattr(self._source, "remove", session.close)()

    # -- the store -------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The engine of the database that keeps the deliveries.

        Raises:
            NoSessionError: It is the engine of the current session, but no session is current.
            OutboxError: The session has several engines.
        """
        if self._engine is not None:
            return self._engine
        if _is_async_scoped(self._source):  # it can be called in a task only
            return _engine_of(self._source.session_factory().sync_session)
        return _engine_of(sync_counterpart(self.session()))

    @property
    def store(self) -> Store:
        """The store that keeps the deliveries.

        Raises:
            NoSessionError: It is in the database of the current session, but no session is current.
            OutboxError: The database is not supported.
        """
        return self._store if self._store is not None else self._make(self.engine).store

    def prepare(self) -> None:
        """Prepare the engine before its first transaction. Raises the errors of :attr:`store`."""
        _ = self.store

    def drop_connections(self) -> None:
        """Replace all connections of the pool, because their server is read-only.

        The call is in the engine's event loop if the engine is async.
        """
        if self._store is None:
            self._make(self.engine).store.drop_connections()

    def store_of(self, handle: Any) -> _Recorder:
        """Return the recorder for the database of ``handle``."""
        engine = self._engine or _engine_of(handle)
        recorder = self._make.known(engine)
        if recorder is None:
            recorder = self._make(engine)
            if recorder.store.kind == "sqlite" and handle.in_transaction():
                _adopt(handle, is_async=engine.dialect.is_async)
        if recorder.store.notifies and _is_two_phase(handle):
            message = (
                "PostgreSQL cannot prepare a two-phase transaction that has notified workers: use "
                "Outbox(notify=False), and workers look for new deliveries every few seconds"
            )
            raise OutboxError(message)
        return recorder

    # -- recording -------------------------------------------------------------------------------

    def record(self, handle: Any, delivery: NewDelivery) -> None:
        """Record a delivery in the transaction of ``handle``.

        With a session, all deliveries are written together just before the commit. With a
        connection, the delivery is written at once.

        Raises:
            OutboxError: No transaction has begun (with ``no_transaction="error"``), or the database
                cannot store the delivery.
        """
        if self._store is not None:
            self._record_elsewhere(self._store, handle, delivery)
            return
        recorder = self.store_of(handle)
        recorder.store.check_size(handle, delivery)
        if not handle.in_transaction():
            self._record_alone(recorder, handle, delivery)
        elif isinstance(handle, Connection):
            recorder.store.add(handle, [delivery])
        else:
            if isinstance(delivery, ObservedDelivery):
                delivery.report("deferred")
            buffer_of(handle).write(handle, recorder, delivery)

    def _record_alone(self, recorder: _Recorder, handle: Any, delivery: NewDelivery) -> None:
        is_async = recorder.store.engine.dialect.is_async
        if is_async or self._no_transaction == "error":
            how = "async with session.begin(): ..." if is_async else "with session.begin(): ..."
            message = (
                f"{delivery.signal!r} was sent to durable receiver {delivery.receiver!r}, but no "
                f"transaction has begun in {handle!r}: begin one ({how})"
                + ("" if is_async else ", or use Outbox(no_transaction='own')")
            )
            raise OutboxError(message)
        recorder.store.add(None, [delivery])

    @staticmethod
    def _record_elsewhere(store: Store, handle: Any, delivery: NewDelivery) -> None:
        """Record in a store outside the session's database, once its transaction is committed."""
        if hasattr(handle, "in_transaction") and hasattr(handle, "get_nested_transaction"):
            if not isinstance(handle, Connection) and handle.in_transaction():
                buffer_of(handle).call(handle, _StoredLater(store, delivery))
                return
            handle = None
        store.add(handle, [delivery])


class _StoredLater:
    """Records a delivery after the commit, in a store outside the session's database."""

    def __init__(self, store: Store, delivery: NewDelivery) -> None:
        self._store = store
        self._delivery = delivery
        self.report("deferred")

    def report(self, state: str) -> None:
        """Show observers what happened to the delivery."""
        if isinstance(self._delivery, ObservedDelivery):
            self._delivery.report(state)

    def __call__(self) -> None:
        self._store.add(None, [self._delivery])


class _Recorder:
    """Writes the deliveries of a session into one database."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store

    def write(self, session: Any, rows: Sequence[NewDelivery]) -> None:
        self.store.add(session, rows)

    def committed(self) -> None:
        self.store.wake()

    def write_late(self, rows: Sequence[NewDelivery]) -> None:
        _log.warning(
            "%d durable deliveries were sent while their transaction was being committed; they are "
            "recorded in a separate transaction",
            len(rows),
        )
        self.store.add(None, rows)


class _SqlStores:
    """The stores of an outbox, one for each engine. In tests, each app has its own engine."""

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
    """Check that ``outbox`` is an outbox.

    Args:
        outbox: The argument of a call.
        instead: The correct call, as code.

    Raises:
        OutboxError: ``outbox`` is not an outbox.
    """
    if not isinstance(outbox, Outbox):
        message = f"this needs an Outbox, not {outbox!r}: {instead}"
        raise OutboxError(message)


def _check_source(source: Any) -> None:
    asyncio = sqlalchemy_asyncio()
    makers = (sessionmaker,) if asyncio is None else (sessionmaker, asyncio.async_sessionmaker)
    is_class = isinstance(source, type)
    if is_class or isinstance(source, makers):
        message = (
            f"an outbox needs the session that its caller uses, but a "
            f"{'class' if is_class else 'sessionmaker'} makes a new one at each call; give it a "
            f"scoped_session, or no session and use outbox.using(session)"
        )
        raise OutboxError(message)
    engines = (Engine,) if asyncio is None else (Engine, asyncio.AsyncEngine)
    if isinstance(source, (str, URL, *engines)):
        message = (
            f"an outbox takes an engine by keyword, Outbox(engine=engine), not "
            f"{'a URL' if isinstance(source, (str, URL)) else repr(source)}"
        )
        raise OutboxError(message)
    if source is not None and not callable(source):
        message = (
            f"an outbox takes a scoped session or a function that returns the current session, not "
            f"{source!r}; for one session, use: with outbox.using(session): ..."
        )
        raise OutboxError(message)


def _is_two_phase(handle: Any) -> bool:
    if isinstance(handle, Connection):
        return isinstance(handle.get_transaction(), TwoPhaseTransaction)
    return bool(handle.twophase)


def _is_async_scoped(source: Any) -> bool:
    asyncio = sqlalchemy_asyncio()
    return asyncio is not None and isinstance(source, asyncio.async_scoped_session)


def _adopt(handle: Any, *, is_async: bool) -> None:
    """Make a transaction that has begun on SQLite roll back as a whole.

    Raises:
        OutboxError: This is not possible.
    """
    if not isinstance(handle, Connection):
        if not engines_of(handle):
            return  # the session has not used the database yet
        if is_async:
            message = (
                "this async session has used SQLite in this transaction before the outbox prepared "
                "the engine, so the transaction might not roll back as a whole; use the outbox "
                "earlier, or give it the engine: Outbox(session, engine=engine)"
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
            "the session has no engine for tables without a model; name the engine of the outbox: "
            "Outbox(session, engine=engine)"
        )
        raise OutboxError(message) from error
    engine: Engine = bind.engine
    return engine
