"""The receivers that workers serve, and how many deliveries of one may run at a time.

Each function runs SQL on a connection. The store chooses the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from aldis.durable.store.sql.tables import MICRO, Tables, now
from aldis.durable.types import State

__all__ = ["register", "room", "seen"]


def register(connection: Connection, tables: Tables, names: Iterable[str]) -> None:
    """Record that a worker serves receivers now."""
    for name in sorted(names):  # in one order, so that two workers do not block each other
        _touch(connection, tables, name)


def _touch(connection: Connection, tables: Tables, name: str) -> None:
    """Lock the row of a receiver, and set its time; create it if it is missing."""
    receivers = tables.receivers
    touched = update(receivers).where(receivers.c.receiver == name).values(seen_at=now())
    if connection.execute(touched).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(receivers).values(receiver=name))
    except IntegrityError:  # another worker did it at this moment
        connection.execute(touched)


def seen(connection: Connection, tables: Tables) -> dict[str, float]:
    """Return for how many seconds no worker has registered each known receiver."""
    receivers = tables.receivers
    found = connection.execute(select(receivers.c.receiver, receivers.c.seen_at, now()))
    return {
        str(name): (present - at) / MICRO if isinstance(at, int) else float("inf")
        for name, at, present in found
    }


def room(connection: Connection, tables: Tables, names: Sequence[str], most: int) -> int:
    """Return how many more deliveries of a receiver may run; lock the answer.

    The transaction holds the row of the receiver, so no other worker claims at the same time. The
    deliveries of a lost worker count until its lease has run out.

    Args:
        connection: A connection in a transaction.
        tables: The tables.
        names: The name of the receiver and its aliases.
        most: How many of its deliveries may run at a time.
    """
    rows = tables.deliveries
    _touch(connection, tables, names[0])
    running = select(func.count()).where(rows.c.state == State.RUNNING, rows.c.receiver.in_(names))
    return max(0, most - (connection.scalar(running) or 0))
