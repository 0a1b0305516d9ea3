"""What a durable receiver can ask while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aldis.durable.store import Store
from aldis.durable.types import ClaimedDelivery
from aldis.errors import LeaseLostError, NoDeliveryError
from aldis.transactions import buffer_of, sync_counterpart

__all__ = ["CurrentDelivery", "current_delivery", "delivering", "running"]

running: ContextVar[CurrentDelivery | None] = ContextVar("aldis_running_delivery", default=None)


def current_delivery() -> CurrentDelivery:
    """Return the delivery that is running here.

    Raises:
        NoDeliveryError: None is: the receiver was called directly.
    """
    delivery = running.get()
    if delivery is None:
        message = (
            "no durable delivery is running here; a receiver that is called directly has none "
            "(in a test: with aldis.testing.delivering(session): ...)"
        )
        raise NoDeliveryError(message)
    return delivery


@contextmanager
def delivering(delivery: CurrentDelivery) -> Iterator[CurrentDelivery]:
    """Make ``delivery`` the one that runs, while a ``with`` block does."""
    outer = running.get()
    running.set(delivery)
    try:
        yield delivery
    finally:
        running.set(outer)  # not by a token: a generator may be closed in another context


class CurrentDelivery:
    """The delivery of which a durable receiver is a part while it runs.

    Args:
        claimed: What is delivered.
        open_session: Returns the session for :attr:`session`.
        store: Where the delivery is completed; ``None`` for one that is only pretended.

    Attributes:
        key: An idempotency key, to hand to other systems: it is the same for every attempt at this
            delivery, and no other delivery's.
        attempt: Which attempt this is; the first is 1.
        emission_id: The send's id, the same for all of its receivers.
        receiver: The durable receiver's name.
        signal: The signal's name.
        cause: The key of the delivery whose receiver sent this, or ``None``.
        traceparent: The W3C trace context in which it was sent, or ``None``.
    """

    def __init__(
        self, claimed: ClaimedDelivery, open_session: Callable[[], Any], store: Store | None
    ) -> None:
        self.key = claimed.key
        self.attempt = claimed.attempt
        self.emission_id = claimed.emission_id
        self.receiver = claimed.receiver
        self.signal = claimed.signal
        self.cause = claimed.caused_by
        self.traceparent = claimed.traceparent
        self._claimed = claimed
        self._open_session = open_session
        self._store = store
        self._session: Any = None
        self._completion = _Completion(self)
        self.completed = False
        """Whether the completion has been committed with the receiver's transaction."""

    @property
    def session(self) -> Any:
        """The session through which what is written is committed with the delivery's completion.

        In Flask that is ``db.session``. The worker commits it when the receiver has returned; one
        that commits itself commits the completion as well, and is not called again whatever happens
        after that.

        Raises:
            NoSessionError: The outbox has no session for this receiver.
            LeaseLostError: Raised by the commit: another worker has the delivery by now.
        """
        if self._session is None:
            self._session = self._open_session()
            self.complete_with_commit()
        return self._session

    @property
    def uses_session(self) -> bool:
        """Whether the receiver has asked for the session."""
        return self._session is not None

    def complete_with_commit(self) -> None:
        """Have the next commit of the session complete the delivery, unless one has."""
        if self._store is None or self.completed:
            return
        session = sync_counterpart(self._session)
        if not session.in_transaction():
            session.begin()
        buffer = buffer_of(session)
        if not buffer.holds(self._completion):
            buffer.write(session, self._completion, self._claimed)

    def complete_in(self, session: Any) -> None:
        """Complete the delivery in the transaction of ``session``.

        Raises:
            LeaseLostError: Another worker has it by now.
        """
        assert self._store is not None  # noqa: S101 - else nothing was to be completed
        if not self._store.complete_in(session, self._claimed):
            raise LeaseLostError(lost(self._claimed))


def lost(claimed: ClaimedDelivery) -> str:
    """Return in words that a worker no longer has a delivery."""
    return (
        f"the worker no longer has delivery {claimed.id} ({claimed.receiver}): its lease ran out, "
        "or the attempt took too long; nothing of this attempt is committed"
    )


class _Completion:
    """Writes the completion into the receiver's own transaction, as the last of it.

    Not as the first: its row would be locked for as long as the receiver runs, and SQLite's file
    with it.
    """

    def __init__(self, delivery: CurrentDelivery) -> None:
        self._delivery = delivery

    def write(self, session: Any, rows: Sequence[Any]) -> None:  # noqa: ARG002 - it has one
        self._delivery.complete_in(session)

    def written(self) -> None:
        self._delivery.completed = True

    def write_late(self, rows: Sequence[Any]) -> None:
        """Nothing: it was added before the commit began, or the delivery stays open."""
