"""Signals about failures in the background: for pagers, Sentry and tests.

A worker sends these signals from a separate thread, ``aldis-reports``, after it has saved the
result and written the log. A slow receiver therefore never delays a delivery. If a receiver
raises, the worker logs the error. Each call runs in the app context. A worker runs an async
receiver in the event loop of its async durable receivers, if it has any, and otherwise in an event
loop of that thread. If receivers are so slow that a thousand reports wait, the worker drops further
ones and logs it. :func:`aldis.testing.drain` sends the same signals, and waits for their receivers.

A durable receiver of these signals must name its data with ``payload=``, because an exception
cannot be recorded. Its own failures are logged, but not sent as signals, because they would cause
each other without an end.
"""

from __future__ import annotations

from typing import Final

from aldis.core.namespace import Namespace

__all__ = [
    "delivery_dead_lettered",
    "delivery_failed",
    "durable_signals",
    "receiver_paused",
    "receiver_resumed",
    "worker_lost",
]

#: The namespace of the signals in this module.
durable_signals: Final = Namespace()


@durable_signals.define
def delivery_failed(  # noqa: PLR0913 - each parameter is an argument of the signal
    sender: str,
    /,
    *,
    delivery_id: int,
    key: str,
    signal: str,
    attempt: int,
    reason: str,
    error: BaseException | None,
    retry_in: float,
) -> None:
    """Sent after a failed attempt that a worker will repeat. The sender is the receiver's name.

    Args:
        sender: The name of the durable receiver.
        delivery_id: The number of the delivery, as in ``aldis deliveries show``.
        key: The idempotency key of the delivery.
        signal: The name of the signal that was delivered.
        attempt: The number of the failed attempt. The first is 1.
        reason: The error in one line.
        error: The exception, with its traceback.
        retry_in: Seconds until the next attempt.
    """


@durable_signals.define
def delivery_dead_lettered(  # noqa: PLR0913 - each parameter is an argument of the signal
    sender: str,
    /,
    *,
    delivery_id: int,
    key: str,
    signal: str,
    attempt: int,
    reason: str,
    error: BaseException | None,
) -> None:
    """Sent when a delivery has become a dead letter. The sender is the receiver's name.

    Args:
        sender: The name of the durable receiver.
        delivery_id: The number of the delivery, as in ``aldis deliveries show``.
        key: The idempotency key of the delivery.
        signal: The name of the signal that was delivered.
        attempt: The number of the last attempt.
        reason: The error in one line.
        error: The exception, with its traceback. ``None`` if the workers that ran the delivery
            were lost.
    """


@durable_signals.define
def worker_lost(sender: str, /, *, deliveries: int) -> None:
    """Sent when the lease of another worker has run out. The sender is that worker's name.

    The worker was killed, or it is frozen or cut off from the database. Its deliveries are
    delivered again.

    Args:
        sender: The name of the lost worker.
        deliveries: How many deliveries it had.
    """


@durable_signals.define
def receiver_paused(sender: str, /, *, failures: int, reason: str, trial_in: float) -> None:
    """Sent when the workers pause a receiver that fails. The sender is the receiver's name.

    One worker sends it, although all workers of the database stop claiming deliveries. A pause by
    an operator (``aldis deliveries pause``) does not send it.

    Args:
        sender: The name of the durable receiver.
        failures: How often the receiver failed in a row with one type of error.
        reason: The last error in one line.
        trial_in: Seconds until the workers try one delivery.
    """


@durable_signals.define
def receiver_resumed(sender: str, /) -> None:
    """Sent when a receiver that the workers paused works again. The sender is its name."""
