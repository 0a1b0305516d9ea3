"""Records and limits that senders, stores, workers and operators share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import EnumType, IntEnum
from typing import Any, Final

from aldis.core.observers import Call
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
    "BreakerState",
    "ClaimedDelivery",
    "Delivery",
    "DeliveryFilter",
    "DueReceiver",
    "LostWorker",
    "NewDelivery",
    "ReceiverStats",
    "RescueResult",
    "RunLimit",
    "State",
]

#: The longest name of a durable receiver or a signal, and the longest ordering key, in characters.
NAME_LENGTH: Final = 190

#: The largest encoded payload by default, in bytes.
MAX_PAYLOAD_BYTES: Final = 65_536


class _StateType(EnumType):
    """Keeps the former names of two states working."""

    def __getattr__(cls, name: str) -> Any:
        new = {"BEHIND": "BLOCKED", "SUSPECT": "QUARANTINED"}.get(name)
        if new is None:
            raise AttributeError(name)
        warn_renamed(f"State.{name}", f"State.{new}")
        return cls[new]


class State(IntEnum, metaclass=_StateType):
    """The states of a delivery. The database stores these numbers."""

    PENDING = 0
    """The delivery waits until it is due and a worker is free."""
    RUNNING = 1
    """A worker has claimed the delivery."""
    DONE = 2
    """The receiver has returned."""
    DEAD = 3
    """The delivery is a dead letter: it failed for good and waits for an operator."""
    BLOCKED = 4
    """The delivery waits for an earlier delivery with the same ordering key."""
    DISCARDED = 5
    """An operator decided that the delivery must not run."""
    QUARANTINED = 6
    """The delivery is pending, but workers died while they ran it: it runs alone."""

    @property
    def label(self) -> str:
        """The state's name on the command line and in its JSON, where two states differ."""
        return {State.BLOCKED: "behind", State.QUARANTINED: "suspect"}.get(self, self.name.lower())


#: The states of a delivery that waits for a worker.
WAITING = (State.PENDING, State.QUARANTINED)

#: The states of a delivery that has ended and may be pruned.
OVER = (State.DONE, State.DISCARDED)

#: The states of a delivery that blocks later deliveries with its ordering key.
UNFINISHED = tuple(state for state in State if state not in OVER)

#: After this many lost workers, a delivery runs alone.
QUARANTINE_AFTER = 2

#: After this many lost workers, a delivery is a dead letter.
DEAD_AFTER = 5


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to record.

    Attributes:
        emission_id: The id of the send, 32 hexadecimal digits. All its deliveries share it.
        receiver: The durable receiver's name.
        signal: The signal's name.
        payload: The encoded sender and arguments.
        order_key: The ordering key, or ``None``.
        delay: Seconds until the delivery is due.
        caused_by: The key of the delivery whose receiver sent the signal, or ``None``.
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
        """The idempotency key: every attempt of this delivery has it, and no other delivery."""
        return f"{self.emission_id}:{self.receiver}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedDelivery(NewDelivery):
    """A delivery to record whose send is observed.

    Attributes:
        call: The call of the durable receiver in the send.
    """

    call: Call

    def report(self, state: str, delivery_id: int | None = None) -> None:
        """Show observers what happened to the delivery."""
        self.call.report(state, delivery_id)


@dataclass(frozen=True, slots=True)
class DueReceiver:
    """When a receiver's next delivery is due.

    Attributes:
        receiver: The receiver's name.
        seconds: Seconds until its first waiting delivery is due; zero or less means now.
        exclusive: Whether that delivery must run alone.
    """

    receiver: str
    seconds: float
    exclusive: bool


@dataclass(slots=True)
class ClaimedDelivery:
    """A delivery that a worker has claimed.

    Attributes:
        id: The delivery's number in the store.
        emission_id: See :class:`NewDelivery`.
        receiver: See :class:`NewDelivery`.
        signal: See :class:`NewDelivery`.
        payload: See :class:`NewDelivery`.
        order_key: See :class:`NewDelivery`.
        caused_by: See :class:`NewDelivery`.
        traceparent: See :class:`NewDelivery`.
        attempt: The number of this attempt; the first is 1.
        lost_workers: How many workers were lost while they ran the delivery.
        worker: The lease of the claim. To complete the delivery, the worker must still hold it.
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
        """The idempotency key: every attempt of this delivery has it, and no other delivery."""
        return f"{self.emission_id}:{self.receiver}"


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """Why an attempt failed, and what happens next.

    Attributes:
        reason: The error in one line.
        traceback: The full traceback, or ``None``.
        retry_in: Seconds until the next attempt; ``None`` makes the delivery a dead letter.
        counts: Whether the attempt counts against the receiver's limit.
    """

    reason: str
    traceback: str | None = None
    retry_in: float | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as the store shows it to operators. Times are in UTC.

    ``worker`` is the lease of the worker that runs the delivery or completed it.
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
        """The idempotency key: every attempt of this delivery has it, and no other delivery."""
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
    """Selects deliveries. A delivery must match every attribute that is not ``None``.

    Attributes:
        ids: The deliveries' numbers.
        states: The states to select.
        receiver: The durable receiver's name.
        signal: The signal's name.
        emission_id: The id of the send.
        error: Text in the last error; upper and lower case are equal.
        since: The delivery was recorded at this time or later.
        until: The delivery was recorded before this time.
        order_key: The ordering key.
        after_id: The delivery's number is greater than this one.
        before_id: The delivery's number is less than this one.
    """

    ids: Sequence[int] | None = None
    states: Sequence[State] | None = None
    receiver: str | None = None
    signal: str | None = None
    emission_id: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    order_key: str | None = None
    after_id: int | None = None
    before_id: int | None = None


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A receiver that the workers have paused because it failed again and again.

    Attributes:
        receiver: The receiver's name.
        failures: How many failures in a row led to the pause.
        reason: The last failure in one line.
        trials: How many trials have failed since then.
        since: Seconds since the receiver was paused.
        trial_in: Seconds until the next trial; zero or less means now.
    """

    receiver: str
    failures: int
    reason: str
    trials: int
    since: float
    trial_in: float


@dataclass(frozen=True, slots=True)
class ReceiverStats:
    """How many deliveries a receiver has.

    Attributes:
        receiver: The receiver's name.
        counts: The number of deliveries in each state; states without deliveries are left out.
        oldest: Seconds since the oldest waiting delivery became due; ``None`` if none is due.
        paused: Whether the receiver is paused, by an operator or by the workers.
        breaker: Why the workers have paused the receiver; ``None`` if they have not.
    """

    receiver: str
    counts: dict[State, int]
    oldest: float | None
    paused: bool
    breaker: BreakerState | None = None


@dataclass(frozen=True, slots=True)
class LostWorker:
    """A worker whose lease has run out.

    Attributes:
        name: The worker's name.
        deliveries: How many deliveries it had.
    """

    name: str
    deliveries: int


@dataclass(frozen=True, slots=True)
class RescueResult:
    """The deliveries that were taken from lost workers.

    Attributes:
        deliveries: How many deliveries were taken.
        workers: The workers whose leases have run out.
        dead: Those of the deliveries that are dead letters now.
    """

    deliveries: int = 0
    workers: tuple[LostWorker, ...] = ()
    dead: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class RunLimit:
    """How many deliveries of a receiver may run at a time, in all workers together.

    Attributes:
        names: The receiver's name, followed by its aliases.
        most: The number.
    """

    names: tuple[str, ...]
    most: int
