"""Call a durable receiver directly in a test, as if it were handling a delivery."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aldis.durable._old_names import warn_renamed
from aldis.durable.current import CurrentDelivery
from aldis.durable.current import delivering as make_current
from aldis.durable.types import ClaimedDelivery
from aldis.errors import NoSessionError

__all__ = ["delivering"]


@contextmanager
def delivering(  # noqa: PLR0913 - a receiver can ask for each of these
    session: Any = None,
    attempt: int = 1,
    *,
    receiver: str = "a.receiver",
    signal: str = "a-signal",
    emission_id: str | None = None,
    caused_by: str | None = None,
    traceparent: str | None = None,
    cause: str | None = None,
) -> Iterator[CurrentDelivery]:
    """Provide a ``current_delivery()`` for a durable receiver that a test calls directly.

    Nothing is recorded, and only the test commits ``session``.

    Args:
        session: The value of ``current_delivery().session``. Without it, asking for the session is
            an error.
        attempt: The number of the attempt.
        receiver: The receiver's name, which is a part of ``key``.
        signal: The signal's name.
        emission_id: The id of the send. The default is a new one.
        caused_by: The key of the delivery whose receiver sent the signal.
        traceparent: The W3C trace context of the send.
        cause: The old name of ``caused_by``.

    Yields:
        The delivery.
    """
    if cause is not None:
        warn_renamed("delivering(cause=)", "delivering(caused_by=)")
    claimed = ClaimedDelivery(
        id=0,
        emission_id=emission_id or os.urandom(16).hex(),
        receiver=receiver,
        signal=signal,
        payload="",
        order_key=None,
        caused_by=caused_by or cause,
        traceparent=traceparent,
        attempt=attempt,
        lost_workers=0,
        worker="",
    )

    def open_session() -> Any:
        if session is None:
            message = "this delivery has no session: use with delivering(session): ..."
            raise NoSessionError(message)
        return session

    with make_current(CurrentDelivery(claimed, open_session, None)) as delivery:
        yield delivery
