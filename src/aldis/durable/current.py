"""The delivery that is running now: what a durable receiver can ask about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from aldis._compat import set_variable
from aldis.core.text import printable
from aldis.durable._old_names import warn_renamed
from aldis.durable.store import Store
from aldis.durable.types import ClaimedDelivery
from aldis.errors import LeaseLostError, NoDeliveryError, NoSessionError
from aldis.transactions import buffer_of, sync_counterpart

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

__all__ = ["CurrentDelivery", "current_delivery", "delivering", "running"]

running: ContextVar[CurrentDelivery | None] = ContextVar("aldis_running_delivery", default=None)


def current_delivery() -> CurrentDelivery:
    """Return the delivery that is running now.

    Raises:
        NoDeliveryError: No delivery is running, because the receiver was called directly.
    """
    delivery = running.get()
    if delivery is None:
        message = (
            "no durable delivery is running here: the receiver was called directly; in a test, "
            "use with aldis.testing.delivering(session): ..."
        )
        raise NoDeliveryError(message)
    return delivery


@contextmanager
def delivering(delivery: CurrentDelivery) -> Iterator[CurrentDelivery]:
    """Make ``delivery`` the current delivery while a ``with`` block runs."""
    outer = running.get()
    try:
        set_variable(running, delivery)
        yield delivery
    finally:
        # Not reset() with a token: a generator may be closed in another context.
        set_variable(running, outer)


class CurrentDelivery:
    """The delivery that a durable receiver is handling.

    Args:
        claimed: The claimed delivery.
        open_session: Opens the session for :attr:`session`.
        store: The store that completes the delivery. ``None`` if a test only pretends it.

    Attributes:
        attempt: The number of the attempt. The first is 1.
        emission_id: The id of the send. All deliveries of one send have it.
        receiver: The name of the durable receiver.
        signal: The name of the signal.
        caused_by: The key of the delivery whose receiver sent the signal, or ``None``.
        traceparent: The W3C trace context of the send, or ``None``.
        completed: Whether the completion is already committed with the receiver's transaction.
    """

    def __init__(
        self,
        claimed: ClaimedDelivery,
        open_session: Callable[[], Session | AsyncSession],
        store: Store | None,
    ) -> None:
        self.attempt: int = claimed.attempt
        self.emission_id: str = claimed.emission_id
        self.receiver: str = claimed.receiver
        self.signal: str = claimed.signal
        self.caused_by: str | None = claimed.caused_by
        self.traceparent: str | None = claimed.traceparent
        self.completed: bool = False
        self._claimed = claimed
        self._open_session = open_session
        self._store = store
        self._completion: _Completion | None = None
        self._is_loading = False  # whether only rows of the payload have been loaded
        self.opened_session: Session | AsyncSession | None = None
        """The session, if the receiver has asked for it."""

    @property
    def key(self) -> str:
        """An idempotency key for other systems.

        It is the same for every attempt at this delivery, and no other delivery has it.
        """
        return self._claimed.key

    @property
    def cause(self) -> str | None:
        """The old name of ``caused_by``."""
        warn_renamed("CurrentDelivery.cause", "CurrentDelivery.caused_by")
        return self.caused_by

    @property
    def session(self) -> Session:
        """The session whose commit also completes the delivery.

        In Flask, this is ``db.session``. The worker commits it after the receiver has returned. If
        the receiver commits it itself, that commit completes the delivery, and the receiver is not
        called again even if it raises afterwards.

        In an async receiver, this is the outbox's ``AsyncSession``. Type checkers see that under
        the name :attr:`async_session`.

        Raises:
            NoSessionError: The outbox has no session for this receiver.
            LeaseLostError: Raised by the commit if another worker has the delivery by now.
        """
        return cast("Session", self._session())

    @property
    def async_session(self) -> AsyncSession:
        """The session for an async receiver if the outbox has async sessions.

        Raises:
            NoSessionError: The outbox has no async session for this receiver.
        """
        session = self._session()
        if not hasattr(session, "sync_session"):
            message = "the session of this delivery is not async: use current_delivery().session"
            raise NoSessionError(message)
        return cast("AsyncSession", session)

    def _session(self) -> Session | AsyncSession:
        is_first = self.opened_session is None or self._is_loading
        session = self.session_for_loading()
        if is_first:
            self._is_loading = False
            self.complete_with_commit()
        return session

    def session_for_loading(self) -> Session | AsyncSession:
        """Return the session in which rows of the payload are loaded before the receiver starts."""
        if self.opened_session is None:
            self.opened_session = self._open_session()
            self._is_loading = True
        return self.opened_session

    def end_loading(self) -> None:
        """End the transaction in which rows of the payload were loaded. The rows stay loaded.

        A receiver may need minutes before it uses the session, or may never use it. Meanwhile an
        open transaction would hold SQLite's lock, and PostgreSQL may end it for being idle. If the
        app's own code has already used the session, for example in ``upgrade=``, its transaction
        goes on.
        """
        if not self._is_loading:
            return
        self._is_loading = False
        session = cast("Session", sync_counterpart(self.opened_session))
        expires, session.expire_on_commit = session.expire_on_commit, False
        try:
            session.commit()
        finally:
            session.expire_on_commit = expires
        self.complete_with_commit()  # begins a transaction that has no connection yet

    def complete_with_commit(self) -> None:
        """Make the next commit of the session complete the delivery, unless it is completed."""
        if self._store is None or self.completed:
            return
        session = cast("Session", sync_counterpart(self.opened_session))
        if not session.in_transaction():
            session.begin()
        if self._completion is None:
            self._completion = _Completion(self)
        buffer = buffer_of(session)
        if not buffer.holds(self._completion):
            buffer.write(session, self._completion, self._claimed)

    def complete_in(self, session: Any) -> None:
        """Complete the delivery in the transaction of ``session``.

        Raises:
            LeaseLostError: Another worker has the delivery by now.
        """
        assert self._store is not None  # noqa: S101 - complete_with_commit has checked it
        if not self._store.complete_in(session, self._claimed):
            raise LeaseLostError(lease_lost(self._claimed))


def lease_lost(claimed: ClaimedDelivery) -> str:
    """Build the message for a delivery that the worker no longer has."""
    return (
        f"the worker no longer has delivery {claimed.id} ({printable(claimed.receiver)}), because "
        "its lease ran out or the attempt took too long; nothing of this attempt is committed"
    )


class _Completion:
    """Writes the completion as the last statement of the transaction.

    If it were the first statement, it would lock the row while the receiver runs. On SQLite it
    would lock the whole file.
    """

    def __init__(self, delivery: CurrentDelivery) -> None:
        self._delivery = delivery

    def write(self, session: Any, rows: Sequence[Any]) -> None:  # noqa: ARG002 - it is one row
        self._delivery.complete_in(session)

    def committed(self) -> None:
        self._delivery.completed = True

    def write_late(self, rows: Sequence[Any]) -> None:
        """Do nothing. The completion was added before the commit began, or it does not count."""
