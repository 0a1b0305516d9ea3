"""Shapes of dates and times.

A ``datetime`` travels with its offset, and with its zone's name where it has one, as RFC 9557
writes them: ``2026-03-01T12:00:00+01:00[Europe/Berlin]``. So it means the same instant in the
worker, and the same wall clock when it is moved by months. Other zones than ``ZoneInfo`` and
``datetime.timezone`` arrive as their offset.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from aldis.durable.codec.scalars import Written
from aldis.durable.codec.shape import Loader, Shape, misfit, mismatch
from aldis.errors import PayloadError, PayloadMismatchError

__all__ = ["TIMES"]


def _write_datetime(value: datetime) -> str:
    if value.utcoffset() is None:
        raise PayloadError(
            "is a datetime without a zone, which means another instant elsewhere: send one with "
            "a zone, as datetime.now(UTC) gives"
        )
    text = value.isoformat()
    zone = value.tzinfo
    return f"{text}[{zone.key}]" if type(zone) is ZoneInfo and zone.key else text


def _read_datetime(text: str) -> datetime:
    text, bracket, name = text.partition("[")
    value = datetime.fromisoformat(text)
    if value.utcoffset() is None:
        raise ValueError("no offset")
    if not bracket:
        return value
    try:
        return _in_zone(value, ZoneInfo(name.removesuffix("]")))
    except (KeyError, OSError) as error:
        raise ValueError("unknown zone") from error


def _in_zone(value: datetime, zone: ZoneInfo) -> datetime:
    for fold in (0, 1):
        there = value.replace(tzinfo=zone, fold=fold)
        if there.utcoffset() == value.utcoffset():
            return there
    # The zone's rules have changed since: the instant counts.
    return value.astimezone(zone)


def _write_time(value: time) -> str:
    if value.fold or (value.tzinfo is not None and value.utcoffset() is None):
        raise PayloadError(
            "is a time whose zone has no offset without a date (or that has a fold): send a "
            "datetime, or the time without a zone"
        )
    return value.isoformat()


class Duration(Shape):
    """A ``timedelta``, as days, seconds and microseconds."""

    types = (timedelta,)
    kinds = frozenset({list})

    def dump(self, value: Any) -> Any:
        """Return its three numbers."""
        if type(value) is not timedelta:
            misfit(value, self)
        return [value.days, value.seconds, value.microseconds]

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Make a timedelta of three numbers."""
        if type(raw) is not list or [int, int, int] != [type(each) for each in raw]:
            mismatch(raw, self)
        try:
            return timedelta(*raw)
        except OverflowError as error:
            raise PayloadMismatchError("is longer than a timedelta can be") from error

    def __str__(self) -> str:
        return "timedelta"


TIMES: Final[dict[Any, Shape]] = {
    datetime: Written(datetime, _write_datetime, _read_datetime),
    date: Written(date, date.isoformat, date.fromisoformat),
    time: Written(time, _write_time, time.fromisoformat),
    timedelta: Duration(),
}
