"""Calling a durable receiver directly, as if it was being delivered to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aldis.durable.current import CurrentDelivery
from aldis.durable.current import delivering as running_as
from aldis.durable.types import ClaimedDelivery
from aldis.errors import NoSessionError

__all__ = ["delivering"]


@contextmanager
def delivering(  # noqa: PLR0913 - each is one thing that a receiver can ask for
    session: Any = None,
    attempt: int = 1,
    *,
    receiver: str = "a.receiver",
    signal: str = "a-signal",
    emission_id: str | None = None,
    cause: str | None = None,
    traceparent: str | None = None,
) -> Iterator[CurrentDelivery]:
    """Let a durable receiver ask ``current_delivery()`` when it is called directly, in a test.

    Nothing is recorded, and nobody commits ``session`` but the test.

    Args:
        session: What ``current_delivery().session`` is; without, asking for it is an error.
        attempt: Which attempt it is.
        receiver: The receiver's name, a part of ``key``.
        signal: The signal's name.
        emission_id: The send's id; by default a new one.
        cause: The key of the delivery whose receiver sent.
        traceparent: The W3C trace context of the send.

    Yields:
        The delivery.
    """
    claimed = ClaimedDelivery(
        id=0,
        emission_id=emission_id or os.urandom(16).hex(),
        receiver=receiver,
        signal=signal,
        payload="",
        order_key=None,
        caused_by=cause,
        traceparent=traceparent,
        attempt=attempt,
        lost_workers=0,
        worker="",
    )

    def open_session() -> Any:
        if session is None:
            message = "this delivery has no session: with delivering(session): ..."
            raise NoSessionError(message)
        return session

    with running_as(CurrentDelivery(claimed, open_session, None)) as delivery:
        yield delivery
