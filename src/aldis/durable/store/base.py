"""What keeps deliveries: the seam between aldis and a database.

:mod:`aldis.testing.store` has the tests that every store must pass. All times that a store compares
are its own clock's: workers on several machines never agree on one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from aldis.durable.types import (
    AttemptFailure,
    ClaimedDelivery,
    Delivery,
    DeliveryFilter,
    DueReceiver,
    NewDelivery,
    ReceiverStats,
)

__all__ = ["Notifier", "Store"]


class Notifier(Protocol):
    """Tells a worker that there may be something new."""

    def wait(self, seconds: float) -> None:
        """Return when something may be due, when woken, or after ``seconds``."""

    def wake(self) -> None:
        """Let :meth:`wait` return now, or the next time. May be called from any thread."""

    def close(self) -> None:
        """Let go of connections."""


class Store(Protocol):
    """Keeps deliveries.

    Every method is atomic and safe to call from any thread, and raises :class:`OutboxError
    <aldis.errors.OutboxError>` when the database refuses. ``worker`` is a lease: 32 hexadecimal
    digits that no two workers, and no two lives of one worker, share.
    """

    def check(self) -> None:
        """Make sure that the store can be used.

        Raises:
            SchemaError: Its tables are missing, too old or too new.
        """

    # -- senders ---------------------------------------------------------------------------------

    def add(self, handle: Any, deliveries: Sequence[NewDelivery]) -> None:
        """Record ``deliveries`` in the transaction of ``handle``; ``None`` is one of its own."""

    # -- workers ---------------------------------------------------------------------------------

    def kept_open(self) -> AbstractContextManager[None]:
        """Keep what takes long to open for the calling thread, until a ``with`` block ends."""

    def register_worker(self, worker: str, name: str, lease: float) -> None:
        """Begin a lease of ``lease`` seconds. ``name`` says to people who the worker is."""

    def heartbeat(self, worker: str, lease: float) -> bool:
        """Extend a lease to ``lease`` seconds from now; false if it has been taken away."""

    def unregister_worker(self, worker: str) -> int:
        """End a lease; what it still had is pending again, and not counted as an attempt."""

    def rescue(self) -> int:
        """Take everything from workers whose lease has run out, and return how much it was.

        The ``lost_workers`` of each delivery goes up by one. At first the delivery is pending again
        and the attempt does not count, because it may not have begun. After
        :data:`~aldis.durable.types.QUARANTINE_AFTER` lost workers it must run with nothing beside
        it. After :data:`~aldis.durable.types.DEAD_AFTER` it is a dead letter.
        """

    def due(self, receivers: Sequence[str]) -> list[DueReceiver]:
        """Return which of ``receivers`` have something pending, and when; not those paused."""

    def claim(
        self, worker: str, receiver: str, limit: int, *, ordered: bool, exclusive: bool = False
    ) -> list[ClaimedDelivery]:
        """Give up to ``limit`` due deliveries to a worker, in the order in which they are due.

        Args:
            worker: Its lease. Nothing is given to one that has run out.
            receiver: Whose deliveries.
            limit: How many at most.
            ordered: Whether those with the same key run one after the other. Then one is given only
                if no earlier one with its key is unfinished and none is running.
            exclusive: Give what has to run with nothing beside it, and only that.
        """

    def complete(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Complete deliveries that their worker still has, and return how many those were."""

    def complete_in(self, session: Any, claimed: ClaimedDelivery) -> bool:
        """Complete one in the transaction of ``session``; false if the worker has lost it.

        Once more, by the same worker for the same attempt, is no error.
        """

    def fail(self, claimed: ClaimedDelivery, failure: AttemptFailure) -> bool:
        """Have one tried again, or make it a dead letter; false if the worker has lost it."""

    def release(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Make deliveries pending again that were not begun; that is no attempt."""

    def repair_order(self) -> int:
        """Free deliveries that wait behind nothing, as is left by a race; return how many."""

    def notifier(self) -> Notifier:
        """Return what waits for new deliveries."""

    # -- operators -------------------------------------------------------------------------------

    def loads(self) -> list[ReceiverStats]:
        """Return how much there is of each receiver that has anything, or is paused, by name."""

    def find(
        self, choice: DeliveryFilter, *, limit: int, newest_first: bool = False
    ) -> list[Delivery]:
        """Return the chosen deliveries by number."""

    def count(self, choice: DeliveryFilter) -> int:
        """Return how many are chosen."""

    def replay(self, choice: DeliveryFilter) -> Iterator[int]:
        """Make the chosen dead letters and discarded ones pending, with all their attempts again.

        Yields:
            How many, after each batch that is committed.
        """

    def discard(self, choice: DeliveryFilter) -> Iterator[int]:
        """Have the chosen that are pending, behind or dead never run.

        Yields:
            How many, after each batch that is committed.
        """

    def pause(self, receiver: str) -> bool:
        """Hold back a receiver's deliveries; false if they were already."""

    def resume(self, receiver: str) -> bool:
        """Deliver again; false if nothing was held back."""

    def prune(self, older_than: float) -> Iterator[int]:
        """Delete what was done or discarded more than ``older_than`` seconds ago.

        Yields:
            How many, after each batch that is committed.
        """

    def count_prunable(self, older_than: float) -> int:
        """Return how many :meth:`prune` would delete."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Begin a transaction; what it yields can be given to ``Outbox.using`` and :meth:`add`."""
