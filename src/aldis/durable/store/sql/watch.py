"""Breaks connections whose server no longer answers.

If a network silently drops packets, a statement waits for hours, because no driver has a limit by
default. The limit here works for every driver: it shuts the connection's socket down, and the
waiting thread or task gets the error of a lost connection.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, event

from aldis._compat import socket_number
from aldis.core.process import ForkSafeLock

__all__ = ["StatementWatch"]


class _Running:
    """A statement, or a transaction of the outbox, that is running.

    Attributes:
        since: When it began.
        connection: The driver's connection.
        broken: Whether its connection was broken.
    """

    __slots__ = ("broken", "connection", "since")

    def __init__(self, connection: Any) -> None:
        self.since = monotonic()
        self.connection = connection
        self.broken = False


class StatementWatch:
    """The statements that run on the connections of an engine in this process.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changing = ForkSafeLock()
        self._own: set[_Running] = set()  # transactions of the outbox itself
        self._others: dict[Any, _Running] = {}  # statements, by the driver's connection
        self._listening = 0  # the number of workers that watch the receivers

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Watch the statements of receivers, too, during a ``with`` block."""
        listeners: tuple[tuple[str, Callable[..., None]], ...] = (
            ("before_cursor_execute", self._begin),
            ("commit", self._begin),
            ("after_cursor_execute", self._end),
            ("checkin", self._forget),
            ("close", self._forget),
        )
        with self._changing.lock:
            self._listening += 1
            is_first = self._listening == 1
        if is_first:
            for name, listener in listeners:
                event.listen(self._engine, name, listener)
        try:
            yield
        finally:
            with self._changing.lock:
                self._listening -= 1
                is_last = self._listening == 0
            if is_last:
                for name, listener in listeners:
                    event.remove(self._engine, name, listener)
                with self._changing.lock:
                    self._others.clear()

    @contextmanager
    def own(self, connection: Connection) -> Iterator[_Running]:
        """Watch a transaction of the outbox itself during a ``with`` block."""
        running = _Running(_driver_connection(connection))
        with self._changing.lock:
            self._own.add(running)
        try:
            yield running
        finally:
            with self._changing.lock:
                self._own.discard(running)

    def break_stalled(self, seconds: float) -> int:
        """Break the connections on which a transaction of the outbox takes longer than ``seconds``.

        Then the network has failed, so the other statements that began before it failed will not
        end either. Their connections are broken, too.

        Returns:
            The number of broken connections.
        """
        now = monotonic()
        with self._changing.lock:
            stalled = [each for each in self._own if now - each.since > seconds and not each.broken]
            if not stalled:
                return 0
            first = min(each.since for each in stalled)
            others = [*self._own, *self._others.values()]
            # A statement that has just begun uses a new connection, or will be found later.
            stalled += [each for each in others if each.since <= max(first, now - seconds / 2)]
            return sum(_break(each) for each in {*stalled} if not each.broken)

    def _begin(self, connection: Connection, *_: Any) -> None:
        raw = _driver_connection(connection)
        with self._changing.lock:
            self._others[raw] = _Running(raw)

    def _end(self, connection: Connection, *_: Any) -> None:
        self._drop(_driver_connection(connection))

    def _forget(self, dbapi_connection: Any, *_: Any) -> None:
        self._drop(getattr(dbapi_connection, "driver_connection", dbapi_connection))

    def _drop(self, raw: Any) -> None:
        with self._changing.lock:
            self._others.pop(raw, None)


def _driver_connection(connection: Connection) -> Any:
    """Return the driver's connection, also if it was detached from the pool."""
    raw: Any = connection.connection.dbapi_connection
    return connection.dialect.get_driver_connection(raw)


def _break(running: _Running) -> bool:
    """Shut the socket of a connection down. Its thread cannot close it meanwhile."""
    running.broken = True
    number = socket_number(running.connection)
    if number is None:  # the driver hides it, or the database has none
        return False
    with suppress(OSError):
        copy = socket.socket(fileno=os.dup(number))
        with suppress(OSError):
            copy.shutdown(socket.SHUT_RDWR)
        copy.close()
        return True
    return False
