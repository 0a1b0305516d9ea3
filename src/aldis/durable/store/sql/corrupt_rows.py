"""Rows that aldis has not written so: no worker stumbles over them, and operators can see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case

from aldis.durable.store.sql.tables import MICRO
from aldis.durable.types import Delivery, State

__all__ = ["as_delivery", "as_moment", "damage", "one_more"]

#: The largest number that the columns for counting take on every database.
LARGEST: Final = 2**31 - 1

#: SQLite keeps in a column whatever it is given.
_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "emission_id": str,
    "receiver": str,
    "signal": str,
    "payload": str,
    "order_key": (str, type(None)),
    "cause": (str, type(None)),
    "traceparent": (str, type(None)),
    "attempts": int,
    "lost": int,
}


def damage(row: Any) -> str | None:
    """Say in words why a row cannot be delivered, or return ``None`` if it can."""
    for name, kind in _TYPES.items():
        value = getattr(row, name)
        if not isinstance(value, kind):
            return f"the row is damaged: its {name} is of type {type(value).__name__}"
    return None


def one_more(attempts: ColumnElement[int]) -> ColumnElement[int]:
    """Return one attempt more; for a number that nobody can have counted, one that is the last."""
    return case((and_(attempts >= 0, attempts < LARGEST), attempts + 1), else_=LARGEST)


def as_delivery(row: dict[str, Any]) -> Delivery:
    """Return what a row says, as far as it says anything; its state is a known one."""
    for name, kind in _TYPES.items():
        if not isinstance(row[name], kind):
            row[name] = 0 if kind is int else str(row[name])
    for name in ("worker", "reason", "traceback"):
        row[name] = None if row[name] is None else str(row[name])
    for name in ("created_at", "due_at", "finished_at"):
        row[name] = None if row[name] is None else as_moment(row[name])
    row["state"] = State(row["state"])
    row["lost_workers"] = row.pop("lost")
    row["caused_by"] = row.pop("cause")
    return Delivery(**row)


#: A day less than there is, so that they can be shown in any zone.
_FIRST: Final = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def as_moment(micro: Any) -> datetime:
    """Return the time of a column, or the nearest one that Python can represent."""
    if not isinstance(micro, (int, float)):
        return _EPOCH
    seconds = micro / MICRO
    if seconds <= _FIRST.timestamp():
        return _FIRST
    return _LAST if seconds >= _LAST.timestamp() else datetime.fromtimestamp(seconds, UTC)
