"""Rows that another program wrote and that do not fit: workers skip them, operators see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aldis.durable.store.sql.tables import MICRO
from aldis.durable.types import Delivery, State

__all__ = ["as_delivery", "as_moment", "damage"]

#: SQLite stores a value of any type in any column.
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

#: One day away from the limits, so that every time zone can show the time.
_FIRST: Final = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def damage(row: Any) -> str | None:
    """Return why a row cannot be delivered, or ``None`` if it can."""
    for name, kind in _TYPES.items():
        value = getattr(row, name)
        if not isinstance(value, kind):
            return f"the row is damaged: its {name} is of type {type(value).__name__}"
    return None


def as_delivery(row: dict[str, Any]) -> Delivery:
    """Convert a row to a delivery. Replace each value of a wrong type; the state must be valid."""
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


def as_moment(micro: Any) -> datetime:
    """Convert a time of the database to the nearest time that Python can represent."""
    if not isinstance(micro, (int, float)):
        return _EPOCH
    seconds = micro / MICRO
    if seconds <= _FIRST.timestamp():
        return _FIRST
    return _LAST if seconds >= _LAST.timestamp() else datetime.fromtimestamp(seconds, UTC)
