"""``aldis worker``: run durable deliveries until a signal stops it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from socket import socketpair
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

import click

from aldis.cli._app import load_app, load_object
from aldis.cli._database import (
    DatabaseError,
    app_context,
    database_errors,
    outbox_of,
    outbox_option,
    refuse_memory,
    refuse_missing_file,
    target_of,
    wal_advice,
)
from aldis.cli._options import AGE, APP, DURATION, WholeNumber, app_options, traceback_option
from aldis.cli._output import printable
from aldis.cli._reload import run_and_reload
from aldis.errors import MissingExtraError

if TYPE_CHECKING:
    from aldis.cli._store import DatabaseTarget
    from aldis.durable import Durable, Worker

__all__ = ["run_worker"]

#: The exit code after a second signal: the worker has not waited for its receivers.
NOT_FINISHED: Final = 130

#: Seconds for releasing deliveries after the grace period or the second signal. Their lease expires
#: later anyway.
RELEASE_TIME: Final = 5.0

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

#: Values next to the numbers of signals: the worker has ended, or the wait has timed out.
ENDED: Final = 0
TIMED_OUT: Final = -1


@click.command("worker", short_help="Run durable deliveries until a signal stops it.")
@outbox_option
@click.option(
    "--concurrency",
    "-c",
    type=WholeNumber(1, 1000),
    default=4,
    show_default=True,
    help="How many receivers run at once.",
)
@click.option(
    "--receiver",
    "receivers",
    metavar="NAME",
    multiple=True,
    help="Run only this receiver's deliveries. You can repeat the option.",
)
@click.option(
    "--lease",
    type=DURATION,
    default="30s",
    show_default=True,
    help="How long a worker that stopped responding keeps its deliveries.",
)
@click.option(
    "--grace",
    type=DURATION,
    default="30s",
    show_default=True,
    help="How long running receivers may continue after the first signal.",
)
@click.option(
    "--health-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Touch this file every second, as long as the worker can claim deliveries.",
)
@click.option(
    "--prune-after",
    type=AGE,
    metavar="AGE",
    help="Delete deliveries that were done or discarded longer ago than this, such as 7d.",
)
@click.option(
    "--reload",
    is_flag=True,
    help="Start the worker again when a Python file changes (development).",
)
@click.option("--name", metavar="TEXT", help="The worker's name; by default MACHINE:PROCESS.")
@app_options
@traceback_option
@click.pass_context
def run_worker(  # noqa: PLR0913 - each argument is an option
    ctx: click.Context,
    *,
    outbox: str | None,
    concurrency: int,
    receivers: tuple[str, ...],
    lease: float,
    grace: float,
    health_file: Path | None,
    prune_after: float | None,
    reload: bool,
    name: str | None,
    traceback: bool,
) -> None:
    """Run durable deliveries until a signal stops the worker.

    After SIGTERM or Ctrl-C, running receivers may finish, and the worker releases its other
    deliveries. After a second signal it does not wait. Failures are logged to the standard error,
    unless the app configures logging.

    \b
      aldis worker --app shop:app --concurrency 8
      aldis worker --outbox shop.db:outbox --receiver billing.receipt

    Under systemd, use Type=notify and WatchdogSec=30: the worker reports its
    start and, as long as it can claim deliveries, that it is alive.

    With both --app and --outbox, the app is imported for its receivers.

    \b
    Exit codes: 0 stopped by a signal, 2 the worker could not begin or had to
    give up, 130 stopped by a second signal.
    """
    if name is not None and not name.strip():
        raise click.BadParameter("the name is empty: leave the option out", param_hint="'--name'")
    if prune_after == 0:
        raise click.BadParameter(
            "0 would delete each delivery at once: write how long ago, such as 7d",
            param_hint="'--prune-after'",
        )
    if reload:
        try:
            ctx.exit(run_and_reload(grace + RELEASE_TIME))
        except MissingExtraError as missing:
            raise click.BadParameter(str(missing), param_hint="'--reload'") from missing
    app, found, target = _find(ctx, outbox, traceback=traceback)
    _check(target)
    worker = _make_worker(
        found,
        app,
        concurrency=concurrency,
        lease=lease,
        grace=grace,
        receivers=receivers or None,
        name=name,
        health_file=health_file,
        sd_notify=True,
        prune_after=prune_after,
    )
    heading = [f"worker {worker.name}: {target}, {concurrency} at a time"]
    heading += [f"  {_receiver_line(each)}" for each in _served(receivers)]
    if advice := wal_advice(target):
        heading.append(advice)
    _log_to_stderr()
    _print_line_by_line()
    _run(worker, "\n".join(heading), grace)


# -- the database and the receivers ----------------------------------------------------------------


def _find(
    ctx: click.Context, outbox: str | None, *, traceback: bool
) -> tuple[Any, Any, DatabaseTarget]:
    """Return the app or ``None``, the outbox, and its database."""
    app = None
    if outbox is None or ctx.meta.get(APP) is not None:
        app = load_app(ctx, traceback=traceback)
    if outbox is not None:
        found, name = load_object(ctx, outbox, traceback=traceback), outbox
    else:
        found, name = outbox_of(app), "the app's outbox"
    with app_context(app), database_errors():
        return app, found, target_of(found, name)


def _check(target: DatabaseTarget) -> None:
    """Check that a worker can use the database.

    Raises:
        DatabaseError: It cannot.
    """
    refuse_memory(target, "is visible in one process only, so no worker sees its deliveries")
    refuse_missing_file(target)
    with database_errors():
        target.check_tables()


def _make_worker(outbox: Any, app: Any, **settings: Any) -> Worker:
    from aldis.durable import Worker  # noqa: PLC0415 - SQLAlchemy may be missing

    context = getattr(app, "app_context", None) or nullcontext
    with database_errors():
        return Worker(outbox, app=app, context=context, **settings)


def _served(receivers: tuple[str, ...]) -> list[Durable[..., Any]]:
    """Return the receivers whose deliveries the worker will run, by name.

    Raises:
        DatabaseError: There are none, or one of ``receivers`` is unknown.
    """
    from aldis.durable.receiver import (  # noqa: PLC0415 - SQLAlchemy may be missing
        all_receivers,
        served_receivers,
    )

    with database_errors():
        found = {*served_receivers(receivers or None).values()}
    if found:
        return sorted(found, key=lambda receiver: receiver.name)
    if receivers:
        raise DatabaseError(
            f"not connected to any signal: {', '.join(receivers)}; connect them, or leave them out"
        )
    idle = ", ".join(each.name for each in all_receivers())
    raise DatabaseError(
        f"no durable receiver is connected to any signal: connect {idle}"
        if idle
        else "the app has no durable receivers: import the module that defines them"
    )


def _receiver_line(receiver: Durable[..., Any]) -> str:
    also = ", async" if receiver.is_async else ""
    return f"{receiver.name} of {', '.join(receiver.signals)}{also}"


# -- running ---------------------------------------------------------------------------------------


def _run(worker: Worker, heading: str, grace: float) -> None:
    """Run ``worker`` in a thread, and stop it when a signal arrives.

    Args:
        worker: The worker.
        heading: The text to print once a signal can stop the worker.
        grace: Seconds for which running receivers may continue after the first signal.

    Raises:
        DatabaseError: The worker cannot use its database.
    """
    failed: list[BaseException] = []

    def run(ended: Callable[[], object]) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it again
            failed.append(error)
        ended()

    with _Events() as events:
        _print_stderr(heading)
        Thread(target=run, args=(events.send_end,), name="aldis-worker", daemon=True).start()
        hurried, ended = _wait(worker, events, grace)
    if failed:
        with database_errors():
            raise failed[0]
    given_back = f", {worker.given_back} given back" if worker.given_back else ""
    _print_stderr(f"worker {worker.name}: {worker.done} done, {worker.failed} failed{given_back}")
    if worker.left_running or hurried or not ended:
        _exit_now(NOT_FINISHED if hurried else 0)


def _wait(worker: Worker, events: _Events, grace: float) -> tuple[bool, bool]:
    """Stop the worker at the first signal, and wait for its end.

    Returns:
        Whether a second signal came, and whether the worker has ended. It has not ended after a
        third signal, or when the time for releasing deliveries is over: then some part of it hangs.
    """
    signals = 0
    end = None
    while True:
        number = events.wait(None if end is None else max(0.0, end - monotonic()))
        if number == ENDED:
            return signals > 1, True
        signals += number != TIMED_OUT
        if number == TIMED_OUT or signals > 2:  # noqa: PLR2004 - the third signal
            _print_stderr("the worker's deliveries run again once its lease has expired")
            return signals > 1, False
        end = monotonic() + RELEASE_TIME + (grace if signals == 1 else 0.0)
        with suppress(OSError):  # the worker has just ended
            worker.stop()
        if signals == 1:  # from this line on, no other receiver begins
            name = signal.Signals(number).name
            _print_stderr(f"{name}: waiting for running receivers; a second signal does not wait")


class _Events:
    """Signals and the worker's end, as bytes in a socket on which the main thread waits.

    Python itself writes the number of a signal into the socket. A flag that a handler sets could be
    missed by a thread that is about to wait.
    """

    def __enter__(self) -> Self:
        self._receiving, self._sending = socketpair()
        self._sending.settimeout(0)
        self._fd = signal.set_wakeup_fd(self._sending.fileno(), warn_on_full_buffer=False)
        self._before = {each: signal.signal(each, lambda *_: None) for each in STOPPING}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(self._fd)
        self._receiving.close()
        self._sending.close()

    def send_end(self) -> None:
        """Report that the worker has ended."""
        with suppress(OSError):  # the main thread does not wait any more
            self._sending.send(bytes([ENDED]))

    def wait(self, seconds: float | None) -> int:
        """Return the number of a stopping signal, ``ENDED``, or ``TIMED_OUT``."""
        self._receiving.settimeout(seconds)
        try:
            while (number := self._receiving.recv(1)[0]) not in (ENDED, *STOPPING):
                pass  # a signal that the app handles
        except TimeoutError:
            return TIMED_OUT
        return number


def _exit_now(code: int) -> None:
    """Exit while receivers still run in threads."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


class _LineFormatter(logging.Formatter):
    """Keeps control characters out of the lines, and indents what is not a line of the log.

    A failed attempt is one line, because `aldis deliveries show` shows its traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, and its indented traceback if that is not saved."""
        record.message = record.getMessage()
        record.asctime = self.formatTime(record, self.datefmt)
        first, *more = self.formatMessage(record).split("\n")
        if record.exc_info and not getattr(record, "traceback_is_saved", False):
            more += self.formatException(record.exc_info).split("\n")
        return "\n  ".join(printable(line) for line in (first, *more))


def _log_to_stderr() -> None:
    """Write the worker's log to the standard error, unless the app configures logging."""
    logger = logging.getLogger("aldis")
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(_LineFormatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)


def _print_line_by_line() -> None:
    """Flush the receivers' output after each line, in files and pipes as well."""
    if hasattr(sys.stdout, "reconfigure"):  # it may be closed, or the app may have replaced it
        sys.stdout.reconfigure(line_buffering=True)


def _print_stderr(text: str) -> None:
    with suppress(OSError):  # a worker without a standard error goes on
        print(text, file=sys.stderr, flush=True)
