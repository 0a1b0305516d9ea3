"""Reports failures to the log, and as signals from a separate thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from aldis.core.frames import hide_frames
from aldis.durable._log import delivery_fields, get_logger
from aldis.durable.signals import (
    delivery_dead_lettered,
    delivery_failed,
    durable_signals,
    receiver_paused,
    receiver_resumed,
    worker_lost,
)
from aldis.durable.store import Store
from aldis.durable.types import Delivery, NewDelivery, RescueResult
from aldis.durable.worker.attempt import AttemptResult, RunContext, in_context
from aldis.transactions import use_session

__all__ = ["CLOSE_SECONDS", "Reporter"]

_log = get_logger()

#: The largest number of reports that wait for slow receivers.
MAX_WAITING: Final = 1000

#: Seconds for which a worker that ends waits for the receivers of its reports.
CLOSE_SECONDS: Final = 5.0


class _NewTransactions:
    """Records each report for a durable receiver in a new transaction.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def session(self) -> None:
        """Return ``None``: no session is current."""

    def record(self, handle: None, delivery: NewDelivery) -> None:
        """Record a delivery."""
        self._store.add(handle, [delivery])


class Reporter:
    """Logs failures and sends them as signals. No receiver of these signals harms the worker.

    Args:
        context: The app context in which receivers are called.
        store: The store that records the reports for durable receivers.
        run_coroutine: Runs an async receiver in the event loop of the worker and returns its
            value. ``None`` if the worker has no event loop.
        patience: How many seconds :meth:`close` waits for receivers.
    """

    def __init__(
        self,
        context: RunContext,
        store: Store,
        run_coroutine: Callable[[Coroutine[Any, Any, Any]], Any] | None,
        *,
        patience: float = CLOSE_SECONDS,
    ) -> None:
        self._context = context
        self._store = store
        self._run_coroutine = run_coroutine
        self._patience = patience
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._runner: asyncio.Runner | None = None
        self._dropped = 0

    # -- what happened -----------------------------------------------------------------------------

    def attempt_failed(self, result: AttemptResult) -> None:
        """Report a failed attempt whose result is saved."""
        job, failure = result.job, result.failure
        assert failure is not None  # noqa: S101 - the caller has checked it
        claimed = job.claimed
        facts: dict[str, Any] = {
            "delivery_id": claimed.id,
            "key": claimed.key,
            "signal": claimed.signal,
            "attempt": claimed.attempt,
            "reason": failure.reason,
            "error": result.error,
        }
        details: dict[str, Any] = {
            "exc_info": result.error,
            "extra": {**delivery_fields(claimed, claimed.attempt), "traceback_is_saved": True},
        }
        is_sent = job.receiver.signal(claimed.signal) not in durable_signals.values()
        if failure.retry_in is None:
            _log.error(
                "delivery %d of %s (%s) is a dead letter after attempt %d: %s",
                claimed.id,
                claimed.signal,
                claimed.receiver,
                claimed.attempt,
                failure.reason,
                **details,
            )
            if is_sent:
                self._send(delivery_dead_lettered, claimed.receiver, facts)
            return
        _log.warning(
            "delivery %d of %s (%s) failed at attempt %d of %d, next in %.1f s: %s",
            claimed.id,
            claimed.signal,
            claimed.receiver,
            claimed.attempt,
            job.receiver.retry.attempts,
            failure.retry_in,
            failure.reason,
            **details,
        )
        if is_sent:
            self._send(delivery_failed, claimed.receiver, {**facts, "retry_in": failure.retry_in})

    def workers_lost(self, rescued: RescueResult) -> None:
        """Report the workers whose leases have run out, and what happened to their deliveries."""
        if rescued.deliveries:
            count = "1 delivery" if rescued.deliveries == 1 else f"{rescued.deliveries} deliveries"
            _log.warning("%s of lost workers will be delivered again", count)
        for lost in rescued.workers:
            _log.warning("the lease of worker %s has run out", lost.name)
            self._send(worker_lost, lost.name, {"deliveries": lost.deliveries})
        for each in rescued.dead:
            self._lost_for_good(each)

    def receiver_paused(self, receiver: str, failures: int, reason: str, pause: float) -> None:
        """Report that the workers have paused a receiver that fails."""
        _log.error(
            "durable receiver %s is paused, because it failed %d times in a row; the workers try "
            "one delivery in %.1f s: %s",
            receiver,
            failures,
            pause,
            reason,
            extra={"receiver": receiver},
        )
        facts = {"failures": failures, "reason": reason, "trial_in": pause}
        self._send(receiver_paused, receiver, facts)

    def receiver_resumed(self, receiver: str) -> None:
        """Report that a paused receiver works again."""
        _log.warning(
            "durable receiver %s works again, and is no longer paused",
            receiver,
            extra={"receiver": receiver},
        )
        self._send(receiver_resumed, receiver, {})

    def _lost_for_good(self, delivery: Delivery) -> None:
        reason = delivery.reason or ""
        _log.error(
            "delivery %d of %s (%s) is a dead letter: %s",
            delivery.id,
            delivery.signal,
            delivery.receiver,
            reason,
            extra=delivery_fields(delivery, delivery.attempts),
        )
        facts = {
            "delivery_id": delivery.id,
            "key": delivery.key,
            "signal": delivery.signal,
            "attempt": delivery.attempts,
            "reason": reason,
            "error": None,
        }
        self._send(delivery_dead_lettered, delivery.receiver, facts)

    # -- the thread --------------------------------------------------------------------------------

    def _send(self, signal: Any, sender: str, payload: dict[str, Any]) -> None:
        """Let the thread send a signal, if it has a receiver."""
        if not signal.has_receivers_for(sender):
            return
        if self._queue.qsize() >= MAX_WAITING:
            if not self._dropped:
                _log.error("the receivers of %s are too slow; some reports are lost", signal.name)
            self._dropped += 1
            return
        if self._thread is None:
            self._thread = Thread(target=self._run, name="aldis-reports", daemon=True)
            self._thread.start()
        call = partial(signal.send_robust, sender, _async_wrapper=self._as_sync, **payload)
        self._queue.put(call)

    def _run(self) -> None:
        while (call := self._queue.get()) is not None:
            try:
                # A new context: variables that an earlier receiver set must not be visible.
                Context().run(in_context, self._context.app_context, partial(self._call, call))
            except BaseException as error:  # noqa: BLE001 - the next report must be sent, too
                _log.error("a failure could not be reported", exc_info=hide_frames(error))
        if self._runner is not None:
            self._runner.close()

    def _call(self, call: Callable[[], object]) -> None:
        with use_session(_NewTransactions(self._store), None):
            call()

    def _as_sync(self, receiver: Callable[..., Any]) -> Callable[..., Any]:
        run = self._run_coroutine or self._run_here
        return lambda *args, **kwargs: run(receiver(*args, **kwargs))

    def _run_here(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(coroutine)

    def close(self) -> None:
        """Send the reports that wait, and end the thread. Wait at most the patience for it."""
        if self._dropped:
            _log.error("%d reports of failures were lost", self._dropped)
        if self._thread is None:
            return
        self._queue.put(None)
        self._thread.join(self._patience)
        if self._thread.is_alive():
            _log.warning(
                "a receiver of failure signals has not returned within %g s", self._patience
            )
