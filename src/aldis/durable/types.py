"""What travels between an outbox, a store, a worker and those who look: plain facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import EnumType, IntEnum
from typing import Any, Final

from aldis.durable._old_names import warn_renamed

__all__ = [
    "DEAD_AFTER",
    "MAX_PAYLOAD_BYTES",
    "NAME_LENGTH",
    "OVER",
    "QUARANTINE_AFTER",
    "UNFINISHED",
    "WAITING",
    "AttemptFailure",
    "ClaimedDelivery",
    "Delivery",
    "DeliveryFilter",
    "DueReceiver",
    "NewDelivery",
    "ReceiverStats",
    "State",
]

#: The longest name of a durable receiver or a signal, and the longest ordering key, in characters.
NAME_LENGTH: Final = 190

#: The largest encoded payload by default, in bytes.
MAX_PAYLOAD_BYTES: Final = 65_536


class _StateType(EnumType):
    """Keeps the former names of two states."""

    def __getattr__(cls, name: str) -> Any:
        new = {"BEHIND": "BLOCKED", "SUSPECT": "QUARANTINED"}.get(name)
        if new is None:
            raise AttributeError(name)
        warn_renamed(f"State.{name}", f"State.{new}")
        return cls[new]


class State(IntEnum, metaclass=_StateType):
    """The states of a delivery; the numbers are in the database."""

    PENDING = 0
    """Waits until it is due and a worker has time."""
    RUNNING = 1
    """A worker has it."""
    DONE = 2
    """The receiver has returned."""
    DEAD = 3
    """A dead letter: it has failed for good, and waits for somebody to look at it."""
    BLOCKED = 4
    """Waits for an earlier one with the same ``key``."""
    DISCARDED = 5
    """Somebody has decided that it shall not run."""
    QUARANTINED = 6
    """Pending, but workers were lost with it: it runs with nothing beside it."""

    @property
    def label(self) -> str:
        """The state's name in the command line and in its JSON, where two have older names."""
        return {State.BLOCKED: "behind", State.QUARANTINED: "suspect"}.get(self, self.name.lower())


#: What waits for a worker.
WAITING = (State.PENDING, State.QUARANTINED)

#: What is over, and may be pruned.
OVER = (State.DONE, State.DISCARDED)

#: What stands before a later delivery with the same key.
UNFINISHED = tuple(state for state in State if state not in OVER)

#: How often a worker may be lost with a delivery before that runs with nothing beside it.
QUARANTINE_AFTER = 2

#: How often a worker may be lost with a delivery before that is a dead letter.
DEAD_AFTER = 5


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One delivery to be recorded.

    Attributes:
        emission_id: The send's id, the same for all its receivers: 32 hexadecimal digits.
        receiver: The durable receiver's name.
        signal: The signal's name.
        payload: The sender and the arguments, encoded.
        order_key: What it is ordered by, or ``None``.
        delay: Seconds until it is due.
        caused_by: The key of the delivery whose receiver sent, or ``None``.
        traceparent: The W3C trace context of the send, or ``None``.
    """

    emission_id: str
    receiver: str
    signal: str
    payload: str
    order_key: str | None = None
    delay: float = 0.0
    caused_by: str | None = None
    traceparent: str | None = None

    @property
    def key(self) -> str:
        """What tells it from every other delivery, however often it is tried."""
        return f"{self.emission_id}:{self.receiver}"


@dataclass(frozen=True, slots=True)
class DueReceiver:
    """When a receiver has something to do.

    Attributes:
        receiver: Its name.
        seconds: Until the first of its pending deliveries is due: zero or less means now.
        alone: Whether that has to run with nothing beside it.
    """

    receiver: str
    seconds: float
    exclusive: bool


@dataclass(slots=True)
class ClaimedDelivery:
    """A delivery that a worker has.

    Attributes:
        id: Its number in the store.
        emission_id: See :class:`NewDelivery`.
        receiver: See :class:`NewDelivery`.
        signal: See :class:`NewDelivery`.
        payload: See :class:`NewDelivery`.
        order_key: See :class:`NewDelivery`.
        caused_by: See :class:`NewDelivery`.
        traceparent: See :class:`NewDelivery`.
        attempt: Which attempt this is; the first is 1.
        lost_workers: How often a worker was lost that had it.
        worker: The lease under which it was claimed: whoever completes it must still hold that.
    """

    id: int
    emission_id: str
    receiver: str
    signal: str
    payload: str
    order_key: str | None
    caused_by: str | None
    traceparent: str | None
    attempt: int
    lost_workers: int
    worker: str

    @property
    def key(self) -> str:
        """What tells it from every other delivery, however often it is tried."""
        return f"{self.emission_id}:{self.receiver}"


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """Why a delivery was not completed, and what comes next.

    Attributes:
        reason: In one line.
        traceback: In full, or ``None``.
        retry_in: Seconds until it is tried again; ``None`` makes it a dead letter.
        counts: Whether it was an attempt.
    """

    reason: str
    traceback: str | None = None
    retry_in: float | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it is in the store, for those who look. Times are in UTC.

    ``worker`` is the lease under which it runs, or was done.
    """

    id: int
    emission_id: str
    receiver: str
    signal: str
    payload: str
    order_key: str | None
    state: State
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None
    attempts: int
    lost_workers: int
    worker: str | None
    reason: str | None
    traceback: str | None
    caused_by: str | None
    traceparent: str | None

    @property
    def key(self) -> str:
        """What tells it from every other delivery, however often it is tried."""
        return f"{self.emission_id}:{self.receiver}"

    @property
    def lost(self) -> int:
        """The former name of ``lost_workers``."""
        warn_renamed("Delivery.lost", "Delivery.lost_workers")
        return self.lost_workers

    @property
    def cause(self) -> str | None:
        """The former name of ``caused_by``."""
        warn_renamed("Delivery.cause", "Delivery.caused_by")
        return self.caused_by


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are meant: those to which everything that is given applies.

    Attributes:
        ids: Their numbers.
        states: The states that they may be in.
        receiver: The durable receiver's name.
        signal: The signal's name.
        emission_id: The send that they belong to.
        error: Text that their last error contains, whatever the case of its letters.
        since: They were recorded at that time or later.
        until: They were recorded before that time.
    """

    ids: Sequence[int] | None = None
    states: Sequence[State] | None = None
    receiver: str | None = None
    signal: str | None = None
    emission_id: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReceiverStats:
    """How much there is of one receiver.

    Attributes:
        receiver: Its name.
        counts: How many deliveries are in each state; states without any are left out.
        oldest: For how many seconds the oldest pending one has been due; ``None`` if none is.
        paused: Whether its deliveries are held back.
    """

    receiver: str
    counts: dict[State, int]
    oldest: float | None
    paused: bool
