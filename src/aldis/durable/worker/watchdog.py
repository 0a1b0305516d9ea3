"""The watchdog: a thread that notices which part of a worker hangs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

from aldis.durable._event import SafeEvent
from aldis.durable._log import Lines, delivery_fields, get_logger
from aldis.durable.store import Store
from aldis.durable.worker.heartbeat import Heartbeat, break_stalled

if TYPE_CHECKING:
    from aldis.durable.worker.executor import Run

__all__ = ["Watchdog"]

_log = get_logger()

#: Seconds between two looks at the worker.
LOOK_EVERY = 0.5

#: The shortest limit for a statement, in seconds: with a short lease, or when the worker must end.
MIN_LIMIT = 2.0

#: Seconds beyond its time limit after which the worker logs the stack of a receiver.
LONG = 60.0


class Watchdog:
    """Breaks connections without an answer, and logs what hangs.

    It needs no database and no event loop, so it works while they hang.

    Args:
        store: The store. Its methods are called in the watchdog's thread.
        heartbeat: The leases of the worker.
        lease: The duration of a lease, in seconds.
        running: Returns the receivers that are running.
        report_health: Called regularly, as long as no renewal is overdue.
    """

    def __init__(
        self,
        store: Store,
        heartbeat: Heartbeat,
        lease: float,
        running: Callable[[], Iterable[Run]],
        report_health: Callable[[], object],
    ) -> None:
        self._store = store
        self._heartbeat = heartbeat
        self._lease = lease
        self._running = running
        self._report_health = report_health
        self._is_overdue = False
        self._logged: dict[int, float] = {}  # when a run is logged again, by the id of its job
        self._stopped_at: float | None = None
        self._end = SafeEvent()

    @contextmanager
    def watching(self, stop: SafeEvent, grace: Callable[[], float]) -> Iterator[None]:
        """Watch during a ``with`` block.

        Args:
            stop: Is set when the worker has to stop.
            grace: Returns for how many seconds running receivers may then continue.
        """
        run = partial(self._run, stop, grace)
        Thread(target=run, name="aldis-watchdog", daemon=True).start()
        try:
            yield
        finally:
            self._end.set()

    def _run(self, stop: SafeEvent, grace: Callable[[], float]) -> None:
        while not self._end.wait(min(LOOK_EVERY, self._lease / 10)):
            try:
                self._look(in_a_hurry=self._is_late(stop, grace))
            except Exception:  # noqa: BLE001 - the watchdog must go on
                _log.exception("the watchdog of the worker failed")

    def _is_late(self, stop: SafeEvent, grace: Callable[[], float]) -> bool:
        """Return whether the worker should have ended by now."""
        if self._stopped_at is None and stop.is_set():
            self._stopped_at = monotonic()
        return self._stopped_at is not None and monotonic() > self._stopped_at + grace()

    def _look(self, *, in_a_hurry: bool) -> None:
        overdue = self._heartbeat.overdue()
        if overdue > 0 and not self._is_overdue:
            _log.warning(
                "the renewal of a lease has been overdue for %.1f s; other workers take the "
                "deliveries when the lease of %g s has run out",
                overdue,
                self._lease,
            )
        self._is_overdue = overdue > 0
        if not self._is_overdue:
            self._report_health()
        # After a third of the lease, a renewal fails in time for another one.
        limit = MIN_LIMIT if in_a_hurry else max(MIN_LIMIT, self._lease / 3)
        broken = self._heartbeat.break_stalled(limit)
        broken += break_stalled(self._store, 0.0 if broken else limit)
        if broken:
            _log.error(
                "the database does not answer on %d connections; the worker opens new ones", broken
            )
        self._log_long_runs()

    def _log_long_runs(self) -> None:
        now = monotonic()
        runs = list(self._running())
        for run in runs:
            limit = run.job.receiver.timeout or 0.0
            if now < self._logged.get(id(run.job), run.since + limit + LONG):
                continue
            # Twice as late each time: a receiver that works for hours fills no log.
            self._logged[id(run.job)] = now + (now - run.since)
            _log.warning(
                "durable receiver %s has been running for %.0f s with delivery %d; give it a "
                "timeout= if it may hang:\n%s",
                run.job.receiver.name,
                now - run.since,
                run.job.claimed.id,
                Lines(run.stack()),
                extra=delivery_fields(run.job.claimed, run.job.claimed.attempt),
            )
        present = {id(run.job) for run in runs}
        for gone in [each for each in self._logged if each not in present]:
            del self._logged[gone]
