"""The interface between aldis and the place where deliveries are kept.

:mod:`aldis.testing.store` has the tests that every store must pass. A store compares times by its
own clock only, because the clocks of several machines never agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from aldis.durable.types import (
    AttemptFailure,
    BreakerState,
    ClaimedDelivery,
    Delivery,
    DeliveryFilter,
    DueReceiver,
    NewDelivery,
    ReceiverStats,
    RescueResult,
    RunLimit,
)

__all__ = ["Notifier", "Store"]


class Notifier(Protocol):
    """Tells a worker that there may be new deliveries."""

    def wait(self, seconds: float) -> None:
        """Return when a delivery may be due, after :meth:`wake`, or after ``seconds``."""

    def wake(self) -> None:
        """End the present or the next :meth:`wait`. Any thread may call this method."""

    def close(self) -> None:
        """Close the notifier's connections."""


class Store(Protocol):
    """Keeps deliveries.

    Every method is atomic, and any thread may call it. If the database refuses, every method raises
    :class:`~aldis.errors.OutboxError`. ``worker`` is the id of a lease: 32 hexadecimal digits. A
    worker that starts again, or begins a new lease, takes a new id.
    """

    def check(self) -> None:
        """Check that the store is ready.

        Raises:
            SchemaError: Its tables are missing, too old or too new.
        """

    # -- senders ---------------------------------------------------------------------------------

    def add(self, handle: Any, deliveries: Sequence[NewDelivery]) -> None:
        """Record deliveries.

        Args:
            handle: A session or connection whose transaction records them, or what
                :meth:`transaction` yields. ``None`` records them in a new transaction.
            deliveries: The deliveries.
        """

    # -- workers ---------------------------------------------------------------------------------

    def kept_open(self) -> AbstractContextManager[None]:
        """Keep the calling thread's connections open during a ``with`` block."""

    def register_worker(self, worker: str, name: str, lease: float) -> None:
        """Begin a lease of ``lease`` seconds. Operators see ``name``."""

    def heartbeat(self, worker: str, lease: float) -> bool:
        """Renew a lease for ``lease`` seconds from now; return false if it was taken away."""

    def unregister_worker(self, worker: str) -> int:
        """End a lease and release its deliveries; return their number.

        The deliveries are pending again, and the attempts do not count.
        """

    def rescue(self) -> RescueResult:
        """Take the deliveries of every worker whose lease has expired.

        The ``lost_workers`` of each delivery goes up by one. At first the delivery is pending again
        and the attempt does not count, because it may not have begun. After
        :data:`~aldis.durable.types.QUARANTINE_AFTER` lost workers the delivery runs alone. After
        :data:`~aldis.durable.types.DEAD_AFTER` lost workers it is a dead letter.
        """

    def due(self, receivers: Sequence[str]) -> list[DueReceiver]:
        """Return which of ``receivers`` have waiting deliveries, and when the first one is due.

        Paused receivers are left out.
        """

    def claim(  # noqa: PLR0913 - each option limits the claim in another way
        self,
        worker: str,
        receiver: str,
        limit: int,
        *,
        ordered: bool,
        exclusive: bool = False,
        at_most: RunLimit | None = None,
        run: int = 1,
    ) -> list[ClaimedDelivery]:
        """Give due deliveries to a worker, those that became due first come first.

        Args:
            worker: The worker's lease. An expired lease gets nothing.
            receiver: The receiver's name.
            limit: The greatest number of deliveries to claim.
            ordered: Whether deliveries with the same ordering key run one after the other. Then a
                delivery is claimed only if its key has no earlier unfinished delivery and none that
                is running.
            exclusive: Whether to claim the deliveries that must run alone, and only those.
            at_most: How many deliveries may run at a time, with those of all other workers.
            run: How many deliveries with the same ordering key one worker may hold at a time, if
                the claim is ordered. With more than one, the earlier deliveries of the key may be
                running at this worker. The worker runs them one after the other, in the order of
                their ids. If one of them fails, it releases the later ones first.
        """

    def register_receivers(self, names: Sequence[str]) -> None:
        """Record that a worker serves receivers now."""

    def registered_receivers(self) -> dict[str, float]:
        """Return for how many seconds no worker has registered each known receiver."""

    def complete(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Complete the deliveries that their worker still holds; return their number."""

    def complete_in(self, session: Any, claimed: ClaimedDelivery) -> bool:
        """Complete a delivery in the transaction of ``session``; return false if it was lost.

        The same worker may complete the same attempt twice. Once the transaction is committed, the
        worker calls :meth:`unblock`.
        """

    def unblock(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Unblock the next delivery of each key of completed deliveries; return their number.

        A transaction that began earlier may not see which delivery that is. If the worker dies
        before this call, :meth:`repair_order` makes up for it.
        """

    def fail(self, claimed: ClaimedDelivery, failure: AttemptFailure) -> bool:
        """Retry a delivery later, or make it a dead letter; return false if it was lost."""

    def release(self, claimed: Sequence[ClaimedDelivery]) -> int:
        """Make claimed deliveries pending again without counting an attempt; return their number.

        The worker has not begun to run them.
        """

    def repair_order(self) -> int:
        """Unblock deliveries that a race left blocked by nothing; return their number."""

    def notifier(self) -> Notifier:
        """Return a new notifier. The caller closes it."""

    def open_breaker(self, receiver: str, failures: int, reason: str, pause: float) -> bool:
        """Pause a receiver that fails; return false if it was paused already.

        Args:
            receiver: The receiver's name.
            failures: How often it has failed in a row.
            reason: The last failure in one line.
            pause: Seconds until the first trial.
        """

    def breakers(self) -> list[BreakerState]:
        """Return the receivers that workers have paused."""

    def begin_trial(self, worker: str, receiver: str, pause: float) -> bool:
        """Let a lease claim deliveries of a receiver that workers have paused.

        The answer is false if it is not time for a trial, or if the delivery of the last trial is
        still running.

        Args:
            worker: The worker's lease.
            receiver: The receiver's name.
            pause: Seconds until the next trial.
        """

    def fail_trial(self, receiver: str, reason: str) -> bool:
        """Count a failed trial; return false if the workers have not paused the receiver."""

    def close_breaker(self, receiver: str) -> bool:
        """End a pause by the workers; return false if there is none."""

    # -- operators -------------------------------------------------------------------------------

    def stats(self) -> list[ReceiverStats]:
        """Count the deliveries of each receiver that has any or is paused, sorted by name."""

    def find(
        self, where: DeliveryFilter, *, limit: int, newest_first: bool = False
    ) -> list[Delivery]:
        """Return the selected deliveries in the order of their numbers."""

    def count(self, where: DeliveryFilter) -> int:
        """Count the selected deliveries."""

    def replay(self, where: DeliveryFilter, *, batch: int | None = None) -> Iterator[int]:
        """Make the selected dead and discarded deliveries pending again, with all their attempts.

        Args:
            where: Selects the deliveries.
            batch: The largest number of deliveries in a batch. The default is the store's.

        Yields:
            The number of deliveries in each committed batch.
        """

    def discard(self, where: DeliveryFilter) -> Iterator[int]:
        """Discard the selected deliveries that are waiting, blocked or dead.

        Yields:
            The number of deliveries in each committed batch.
        """

    def pause(self, receiver: str) -> bool:
        """Stop claims for a receiver; return false if an operator has paused it already.

        This replaces a pause by the workers, which then do not try the receiver again.
        """

    def resume(self, receiver: str) -> bool:
        """Allow claims for a receiver again; return false if it was not paused."""

    def prune(self, older_than: float) -> Iterator[int]:
        """Delete deliveries that were done or discarded more than ``older_than`` seconds ago.

        Yields:
            The number of deliveries in each committed batch.
        """

    def count_prunable(self, older_than: float) -> int:
        """Count the deliveries that :meth:`prune` would delete."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Begin a transaction. ``Outbox.using`` and :meth:`add` accept what it yields."""
