"""Pauses by the workers: receivers that fail again and again, and their trials.

A row of the table of paused receivers is a pause by the workers if it has a time for a trial.
Claims skip every paused receiver. During a trial, the row names the lease that may claim all the
same.

Each function runs SQL on a connection. The store chooses the transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, delete, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from aldis.durable.store.sql.tables import MICRO, Tables, microseconds, now
from aldis.durable.types import BreakerState, State

__all__ = ["begin_trial", "breakers", "close_breaker", "fail_trial", "open_breaker"]


def open_breaker(
    connection: Connection, tables: Tables, receiver: str, failures: int, reason: str, pause: float
) -> bool:
    """Pause a receiver that fails; return false if it was paused already."""
    paused = tables.paused
    if connection.scalar(select(paused.c.receiver).where(paused.c.receiver == receiver)):
        return False
    values = {
        "receiver": receiver,
        "failures": failures,
        "reason": reason,
        "trials": 0,
        "trial_at": now() + microseconds(pause),
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(paused).values(values))
    except IntegrityError:  # another worker paused it at this moment
        return False
    return True


def breakers(connection: Connection, tables: Tables) -> list[BreakerState]:
    """Return the receivers that workers have paused, by name."""
    paused = tables.paused
    found = connection.execute(
        select(paused, now().label("present"))
        .where(paused.c.trial_at.is_not(None))
        .order_by(paused.c.receiver)
    ).mappings()
    return [
        BreakerState(
            receiver=str(row["receiver"]),
            failures=_number(row["failures"]),
            reason=str(row["reason"] or ""),
            trials=_number(row["trials"]),
            since=(row["present"] - _number(row["since"])) / MICRO,
            trial_in=(_number(row["trial_at"]) - row["present"]) / MICRO,
        )
        for row in found
    ]


def _number(value: Any) -> int:
    """Return a number. SQLite stores a value of any type in any column."""
    return value if isinstance(value, int) else 0


def begin_trial(
    connection: Connection, tables: Tables, worker: str, receiver: str, pause: float
) -> bool:
    """Let a lease claim deliveries of a paused receiver; return false if another one runs a trial.

    The trial of a worker that is lost ends when its lease has run out.
    """
    rows, paused = tables.deliveries, tables.paused
    running = exists().where(
        rows.c.worker == paused.c.trial_by,
        rows.c.receiver == paused.c.receiver,
        rows.c.state == State.RUNNING,
    )
    due = and_(paused.c.receiver == receiver, paused.c.trial_at <= now())
    begun = (
        update(paused)
        .where(due, or_(paused.c.trial_by.is_(None), ~running))
        .values(trial_at=now() + microseconds(pause), trial_by=worker)
    )
    return connection.execute(begun).rowcount > 0


def fail_trial(connection: Connection, tables: Tables, receiver: str, reason: str) -> bool:
    """Count a failed trial; return false if the workers have not paused the receiver."""
    paused = tables.paused
    changed = (
        update(paused)
        .where(paused.c.receiver == receiver, paused.c.trial_at.is_not(None))
        .values(trials=paused.c.trials + 1, reason=reason)
    )
    return connection.execute(changed).rowcount > 0


def close_breaker(connection: Connection, tables: Tables, receiver: str) -> bool:
    """End a pause by the workers; return false if there is none."""
    paused = tables.paused
    is_ours = and_(paused.c.receiver == receiver, paused.c.trial_at.is_not(None))
    return connection.execute(delete(paused).where(is_ours)).rowcount > 0
