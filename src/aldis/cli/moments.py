"""Durations and times, as they are written on the command line and shown there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

__all__ = ["AGE", "DURATION", "MOMENT", "iso", "span"]

#: Seconds in each unit, the longest first.
UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}

#: What any database can count back to.
LONGEST: Final = 100 * 365 * 86_400


class Duration(click.ParamType):  # type: ignore[type-arg] # only newer ones have any
    """Seconds, or a number with its unit.

    Args:
        bare: Whether a number may stand alone: it is seconds.
    """

    name = "duration"

    def __init__(self, *, bare: bool) -> None:
        self._bare = bare

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", value)
        if match is None or (not match[2] and not self._bare):
            self.fail(f"{value!r} is no duration: write 90s, 15m, 12h or 7d.", param, ctx)
        seconds = float(match[1]) * UNITS[match[2] or "s"]
        if seconds > LONGEST:
            self.fail(f"{value!r} is longer than 100 years.", param, ctx)
        return seconds


class Moment(click.ParamType):  # type: ignore[type-arg] # as above
    """A time, or how long ago it was."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return a time with its zone; one without is in the machine's."""
        if isinstance(value, datetime):
            return value
        if re.fullmatch(r"[0-9.]+[smhd]", value):
            return datetime.now(UTC) - timedelta(seconds=AGE.convert(value, param, ctx))
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2026-11-21, 2026-11-21T10:00 (the machine's own "
                "zone), 2026-11-21T10:00Z, or 12h for twelve hours ago.",
                param,
                ctx,
            )


#: A duration that has its unit: where a number alone would be a trap.
AGE: Final = Duration(bare=False)
DURATION: Final = Duration(bare=True)
MOMENT: Final = Moment()


def span(seconds: float) -> str:
    """Write a duration in its largest unit: ``45s``, ``12m``, ``3h``, ``5d``."""
    for unit, size in UNITS.items():
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def iso(moment: datetime | None) -> str | None:
    """Write a time in UTC as the documented schemas have it."""
    return None if moment is None else moment.isoformat(timespec="milliseconds")
