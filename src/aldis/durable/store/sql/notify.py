"""How a worker learns of new deliveries without constant queries."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any, Final

from sqlalchemy import Connection, func
from sqlalchemy import select as sql_select
from sqlalchemy.exc import SQLAlchemyError

from aldis.durable._event import SafeEvent
from aldis.durable._log import get_logger
from aldis.durable.store.base import Notifier
from aldis.durable.store.sql.connection import Database

__all__ = [
    "MariadbNotifier",
    "PollNotifier",
    "PostgresNotifier",
    "SqliteNotifier",
    "make_notifier",
    "notify",
]

_log = get_logger()

#: Seconds between two checks of an SQLite file. A check takes microseconds.
GLANCE: Final = 0.01

#: Seconds between two questions to MariaDB while deliveries come, and while none comes. A question
#: takes a fraction of a millisecond, here and on the server.
ASK: Final = 0.005
ASK_IDLE: Final = 0.015

#: Seconds without a new delivery after which a worker asks MariaDB less often.
IDLE_AFTER: Final = 10.0

#: Seconds between two polls if the database does not notify.
POLL: Final = 0.1

#: Seconds between two polls although PostgreSQL notifies: a connection pooler may drop messages.
POLL_ANYWAY: Final = 5.0


def make_notifier(
    database: Database, channel: str, closed: Callable[[Any], None], *, listens: bool
) -> Notifier:
    """Return the best notifier for a database.

    Args:
        database: The database.
        channel: The name of PostgreSQL's channel.
        closed: Called with the notifier when it is closed.
        listens: Whether senders notify on PostgreSQL.
    """
    if database.engine.dialect.is_async:  # its connections work in their event loop only
        return PollNotifier(closed)
    if database.kind == "sqlite":
        return SqliteNotifier(database, closed)
    if database.kind == "mysql":
        return MariadbNotifier(database, channel, closed)
    drivers = {"psycopg", "psycopg2"}
    if listens and database.kind == "postgresql" and database.engine.dialect.driver in drivers:
        return PostgresNotifier(database, channel, closed)
    return PollNotifier(closed)


def notify(connection: Connection, channel: str) -> None:
    """Tell the workers that listen on PostgreSQL's ``channel``, when the transaction commits."""
    connection.execute(sql_select(func.pg_notify(channel, "")))


class PollNotifier:
    """Polls. Only its own process can wake it earlier."""

    def __init__(self, closed: Callable[[Any], None]) -> None:
        self._event = SafeEvent()
        self._closed = closed

    def wait(self, seconds: float) -> None:
        """Return after :meth:`wake`, or when it is time to poll."""
        self._event.wait(min(seconds, POLL))
        self._event.clear()

    def wake(self) -> None:
        """End :meth:`wait`."""
        self._event.set()

    def close(self) -> None:
        """Stop receiving wake-ups."""
        self._closed(self)


class _AskingNotifier(PollNotifier):
    """Asks the database a cheap question, and returns when the answer has changed.

    Args:
        database: The database.
        question: The statement. Its answer is one value.
        closed: Called with the notifier when it is closed.
    """

    def __init__(self, database: Database, question: str, closed: Callable[[Any], None]) -> None:
        super().__init__(closed)
        self._question = question
        self._database = database
        self._connection: Connection | None = None
        self._raw: Any = None
        self._cursor: Any = None
        self._version: int | None = None
        self._changed_at = float("-inf")
        self._generation = database.generation

    def wait(self, seconds: float) -> None:
        """Return when the answer has changed, after :meth:`wake`, or after ``seconds``."""
        end = monotonic() + seconds
        try:
            while not self._has_changed():
                left = end - monotonic()
                if left <= 0 or self._event.wait(min(left, self._pause())):
                    break
        except Exception:  # noqa: BLE001 - the worker's next statement reports the driver's error
            self._disconnect()
            self._event.wait(min(seconds, POLL))
        self._event.clear()

    def close(self) -> None:
        """Close the connection."""
        super().close()
        self._disconnect()

    def _has_changed(self) -> bool:
        if self._generation != self._database.generation:  # another file may have this name now
            self._disconnect()
        if self._cursor is None:
            self._generation = self._database.generation
            # It runs 100 times a second, so it keeps a connection and uses the driver's cursor.
            self._connection = self._open()
            self._connection.detach()
            self._raw = self._connection.connection.dbapi_connection
            self._cursor = self._raw.cursor()
        version = self._ask()
        changed: bool = version != self._version
        if changed:
            self._changed_at = monotonic()
        self._version = version
        return changed

    def _ask(self) -> Any:
        self._cursor.execute(self._question)
        return self._cursor.fetchone()[0]

    def _open(self) -> Connection:
        return self._database.engine.connect()

    def _pause(self) -> float:
        """Return the seconds until the next question."""
        return GLANCE

    def _disconnect(self) -> None:
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            # Connection.close() rolls back, and would wait for a server that may not answer.
            with suppress(Exception):
                self._raw.close()
            with suppress(SQLAlchemyError):
                connection.invalidate()
                connection.close()


class SqliteNotifier(_AskingNotifier):
    """Asks SQLite whether another connection has committed."""

    def __init__(self, database: Database, closed: Callable[[Any], None]) -> None:
        super().__init__(database, "PRAGMA data_version", closed)


class MariadbNotifier(_AskingNotifier):
    """Asks MariaDB for the highest id, and polls for the changes that do not raise it.

    A delivery with a lower id may be committed later, and an operator may replay one.
    """

    def __init__(self, database: Database, table: str, closed: Callable[[Any], None]) -> None:
        super().__init__(database, f"SELECT MAX(id) FROM {table}", closed)  # noqa: S608 - the prefix is checked

    def _ask(self) -> Any:
        assert self._connection is not None  # noqa: S101 - the caller has opened it
        # The watchdog breaks the connection if the network drops the question.
        with self._database.watch.own(self._connection):
            return super()._ask()

    def wait(self, seconds: float) -> None:
        """Return when the highest id has changed, or when it is time to poll."""
        super().wait(min(seconds, POLL))

    def _pause(self) -> float:
        return ASK if monotonic() - self._changed_at < IDLE_AFTER else ASK_IDLE

    def _open(self) -> Connection:
        # Each question sees the commits before it.
        return self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")


class PostgresNotifier:
    """Waits for PostgreSQL's NOTIFY."""

    def __init__(self, database: Database, channel: str, closed: Callable[[Any], None]) -> None:
        self._database = database
        self._channel = channel
        self._closed = closed
        self._connection: Connection | None = None
        self._generation = database.generation
        # A late wake() on a closed pipe could write into another file that got the pipe's number.
        self._awake, self._alarm = socket.socketpair()
        self._awake.settimeout(0)
        self._alarm.settimeout(0)

    def wait(self, seconds: float) -> None:
        """Return when PostgreSQL notifies, after :meth:`wake`, or after ``seconds``."""
        sources: list[Any] = [self._awake]
        with suppress(Exception):  # without a connection, it polls
            sources.append(self._listen())
        timeout = POLL_ANYWAY if len(sources) > 1 else POLL
        try:
            with DefaultSelector() as selector:
                for each in sources:
                    selector.register(each, EVENT_READ)
                ready = [key.fd for key, _ in selector.select(min(seconds, timeout))]
        except OSError:  # PostgreSQL's socket has been closed meanwhile
            ready = sources[1:]
        if self._awake.fileno() in ready:
            with suppress(BlockingIOError):
                self._awake.recv(4096)
        if len(ready) > (self._awake.fileno() in ready):
            self._consume()

    def wake(self) -> None:
        """End :meth:`wait`."""
        with suppress(OSError):  # the buffer is full, so it is awake; or the notifier is closed
            self._alarm.send(b"!")

    def close(self) -> None:
        """Close the connection."""
        self._closed(self)
        self._disconnect()
        self._awake.close()
        self._alarm.close()

    def _listen(self) -> int:
        """Return the number of the socket on which PostgreSQL notifies."""
        if self._generation != self._database.generation:  # senders may use another server now
            self._disconnect()
        if self._connection is None:
            self._generation = self._database.generation
            connection = self._database.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
            connection.detach()
            connection.exec_driver_sql(f'LISTEN "{self._channel}"')
            self._connection = connection
            self.wake()  # there may have been commits before this LISTEN
        raw: Any = self._connection.connection.dbapi_connection
        return int(raw.fileno())

    def _consume(self) -> None:
        """Read the notifications, or notice that the connection is lost."""
        try:
            raw: Any = self._connection.connection.dbapi_connection  # type: ignore[union-attr]
            if hasattr(raw, "poll"):  # psycopg2
                raw.poll()
                raw.notifies.clear()
            else:
                raw.pgconn.consume_input()
                while raw.pgconn.notifies() is not None:
                    pass
        except Exception:  # noqa: BLE001 - any error of the driver means a lost connection
            _log.info("lost the connection that listens for new deliveries; opening another")
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()
