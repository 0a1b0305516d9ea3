"""The filters of the list of deliveries, as they are in a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from aldis.web.view import PageError

if TYPE_CHECKING:
    from aldis.durable.types import DeliveryFilter, State

__all__ = ["STATES", "Filters", "states_for"]

#: The choices of the filter by state, and the states that each one selects.
STATES: Final = {
    "pending": ("PENDING", "QUARANTINED"),
    "behind": ("BLOCKED",),
    "running": ("RUNNING",),
    "dead": ("DEAD",),
    "done": ("DONE",),
    "discarded": ("DISCARDED",),
}

#: The states that a change accepts.
_CHANGEABLE: Final = {
    "replay": ("DEAD", "DISCARDED"),
    "discard": ("PENDING", "QUARANTINED", "BLOCKED", "DEAD"),
}

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def states_for(action: str) -> tuple[State, ...]:
    """Return the states that a change accepts."""
    return _states(_CHANGEABLE[action])


def _states(names: tuple[str, ...]) -> tuple[State, ...]:
    from aldis.durable.types import State  # noqa: PLC0415 - SQLAlchemy may be missing

    return tuple(State[name] for name in names)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of the list of deliveries.

    Attributes:
        state: One of :data:`STATES`, or an empty text for all.
        receiver: The receiver's name.
        signal: The signal's name.
        key: The ordering key.
        send: The id of the send.
        error: Text in the last error.
        since: A time such as ``2026-11-21T10:00``, in UTC, or an age such as ``12h``.
        until: A time or an age.
    """

    state: str = ""
    receiver: str = ""
    signal: str = ""
    key: str = ""
    send: str = ""
    error: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, args: Mapping[str, str]) -> Filters:
        """Return the filters in a query or a form.

        Raises:
            PageError: A value is not valid.
        """
        filters = cls(**{each.name: args.get(each.name, "").strip() for each in fields(cls)})
        if filters.state and filters.state not in STATES:
            raise PageError(
                400, f"{filters.state!r} is not a state. The states are {', '.join(STATES)}."
            )
        for each in (filters.since, filters.until):
            _moment(each)
        return filters

    @property
    def args(self) -> dict[str, str]:
        """The filters that are set, by name."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name))}

    @property
    def text(self) -> str:
        """The filters in one line."""
        return ", ".join(f"{name} {value}" for name, value in self.args.items()) or "all"

    def where(self, *, before_id: int | None = None, after_id: int | None = None) -> DeliveryFilter:
        """Return the filter for the store."""
        return self._where(_states(STATES[self.state]) if self.state else None, before_id, after_id)

    def selection(self, action: str, highest: int | None = None) -> DeliveryFilter:
        """Return the filter for the deliveries that a change selects.

        Without a state in the filters, a change selects dead letters, as the command line does.

        Raises:
            PageError: The change cannot be made to deliveries in the chosen state.
        """
        names = STATES[self.state or "dead"]
        if not {*names} <= {*_CHANGEABLE[action]}:
            raise PageError(400, f"You cannot {action} deliveries that are {self.state}.")
        return self._where(_states(names), None if highest is None else highest + 1, None)

    def _where(
        self, states: tuple[State, ...] | None, before_id: int | None, after_id: int | None
    ) -> DeliveryFilter:
        from aldis.durable.types import DeliveryFilter  # noqa: PLC0415 - SQLAlchemy may be missing

        return DeliveryFilter(
            states=states,
            receiver=self.receiver or None,
            signal=self.signal or None,
            order_key=self.key or None,
            emission_id=self.send or None,
            error=self.error or None,
            since=_moment(self.since),
            until=_moment(self.until),
            before_id=before_id,
            after_id=after_id,
        )


def _moment(text: str) -> datetime | None:
    """Return a time in UTC.

    Raises:
        PageError: The text is not a time.
    """
    if not text:
        return None
    age = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if age is not None:
        return datetime.now(UTC) - timedelta(seconds=int(age[1]) * _SECONDS[age[2]])
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise PageError(
            400,
            f"{text!r} is not a time. Write 12h for twelve hours ago, or 2026-11-21T10:00 in UTC.",
        ) from None
