"""How a worker learns that there is something new, without asking all the time."""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from time import monotonic
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from aldis.durable.store.sql.connection import Database

__all__ = ["make_notifier"]

_log = logging.getLogger("aldis")

#: Seconds between two looks at an SQLite file; a look costs microseconds.
GLANCE: Final = 0.01

#: Seconds between two looks where nothing tells of news.
POLL: Final = 0.1

#: Seconds between two looks although PostgreSQL tells of news: a pooler may drop that in silence.
POLL_ANYWAY: Final = 5.0


def make_notifier(database: Database, channel: str, closed: Callable[[Any], None]) -> Any:
    """Return the waker for a kind of database."""
    if database.engine.dialect.is_async:
        return PollNotifier(closed)  # whose own connection would be used from outside its loop
    if database.kind == "sqlite":
        return SqliteNotifier(database, closed)
    if database.kind == "postgresql" and listens(database):
        return PostgresNotifier(database, channel, closed)
    return PollNotifier(closed)


class PollNotifier:
    """Looks every now and then; woken at once only within its own process."""

    def __init__(self, closed: Callable[[Any], None]) -> None:
        self._event = Event()
        self._closed = closed

    def wait(self, seconds: float) -> None:
        """Return when woken, or it is time to look."""
        self._event.wait(min(seconds, POLL))
        self._event.clear()

    def wake(self) -> None:
        """Let :meth:`wait` return."""
        self._event.set()

    def close(self) -> None:
        """Be woken no more."""
        self._closed(self)


class SqliteNotifier(PollNotifier):
    """Asks SQLite whether another connection has committed: PRAGMA data_version."""

    def __init__(self, database: Database, closed: Callable[[Any], None]) -> None:
        super().__init__(closed)
        self._database = database
        self._connection: Connection | None = None
        self._cursor: Any = None
        self._version: int | None = None

    def wait(self, seconds: float) -> None:
        """Return when the file has changed, when woken, or after ``seconds``."""
        end = monotonic() + seconds
        try:
            while not self._has_changed():
                left = end - monotonic()
                if left <= 0 or self._event.wait(min(left, GLANCE)):
                    break
        except Exception:  # noqa: BLE001 - whatever the driver raises: the worker will meet it too
            self._forget()
            self._event.wait(min(seconds, POLL))
        self._event.clear()

    def close(self) -> None:
        """Let go of the connection."""
        super().close()
        self._forget()

    def _has_changed(self) -> bool:
        if self._cursor is None:
            # Its own connection for good, and the driver's own cursor: 100 times a second.
            self._connection = self._database.engine.connect()
            self._connection.detach()
            raw: Any = self._connection.connection.dbapi_connection
            self._cursor = raw.cursor()
        self._cursor.execute("PRAGMA data_version")
        version = self._cursor.fetchone()[0]
        changed: bool = version != self._version
        self._version = version
        return changed

    def _forget(self) -> None:
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()


def listens(database: Database) -> bool:
    """Tell whether the driver's connection can be waited for: psycopg's and psycopg2's can."""
    driver: str = database.engine.dialect.driver
    return driver in {"psycopg", "psycopg2"}


class PostgresNotifier:
    """Waits for PostgreSQL's NOTIFY."""

    def __init__(self, database: Database, channel: str, closed: Callable[[Any], None]) -> None:
        self._database = database
        self._channel = channel
        self._closed = closed
        self._connection: Connection | None = None
        # Not a pipe: its number could be another file's when somebody is late to wake this.
        self._awake, self._alarm = socket.socketpair()
        self._awake.settimeout(0)
        self._alarm.settimeout(0)

    def wait(self, seconds: float) -> None:
        """Return when notified, when woken, or after ``seconds``."""
        listening: list[Any] = [self._awake]
        with suppress(Exception):  # without it, there is still the time
            listening.append(self._listen())
        timeout = POLL_ANYWAY if len(listening) > 1 else POLL
        poll = select.poll()
        for each in listening:
            poll.register(each, select.POLLIN)
        ready = [number for number, _ in poll.poll(min(seconds, timeout) * 1000)]
        if self._awake.fileno() in ready:
            with suppress(BlockingIOError):
                self._awake.recv(4096)
        if len(ready) > (self._awake.fileno() in ready):
            self._take_notes()

    def wake(self) -> None:
        """Let :meth:`wait` return."""
        with suppress(OSError):  # full: it is awake; or closed
            self._alarm.send(b"!")

    def close(self) -> None:
        """Let go of the connection."""
        self._closed(self)
        self._forget()
        self._awake.close()
        self._alarm.close()

    def _listen(self) -> int:
        """Return the number of a socket on which PostgreSQL tells of news."""
        if self._connection is None:
            connection = self._database.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
            connection.detach()
            connection.exec_driver_sql(f'LISTEN "{self._channel}"')
            self._connection = connection
            self.wake()  # what was committed before this is not told
        raw: Any = self._connection.connection.dbapi_connection
        return int(raw.fileno())

    def _take_notes(self) -> None:
        """Read what was told, or learn that the connection is gone."""
        try:
            raw: Any = self._connection.connection.dbapi_connection  # type: ignore[union-attr]
            if hasattr(raw, "poll"):  # psycopg2
                raw.poll()
                raw.notifies.clear()
            else:
                raw.pgconn.consume_input()
                while raw.pgconn.notifies() is not None:
                    pass
        except Exception:  # noqa: BLE001 - whatever the driver raises
            _log.info("the connection that listens for new deliveries is gone; opening another")
            self._forget()

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()
