"""``worker``: run durable deliveries until told to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from socket import socketpair
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Self

import click

from aldis.cli.loading import load, load_object
from aldis.cli.moments import DURATION
from aldis.cli.options import APP, app_option, traceback_option
from aldis.cli.outboxes import (
    DatabaseError,
    Place,
    advice_on_log,
    context_of,
    find_outbox,
    outbox_option,
    place_of,
    refusals,
    refuse_memory,
    refuse_missing_file,
)

if TYPE_CHECKING:
    from aldis.durable import Durable, Worker

__all__ = ["work"]

#: What a worker ends with that was told twice to stop: it has not waited for its receivers.
AT_ONCE: Final = 130

#: Seconds for giving deliveries back after the second signal; then their lease runs out instead.
HURRY: Final = 5.0

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

#: What is no number of a signal: the worker has ended, or time is up.
ENDED: Final = 0
LATE: Final = -1


@click.command("worker", short_help="Run durable deliveries until told to stop.")
@outbox_option
@click.option(
    "--concurrency",
    "-c",
    type=click.IntRange(1, 1000),
    default=4,
    show_default=True,
    help="How many receivers run at a time.",
)
@click.option(
    "--receiver",
    "receivers",
    metavar="NAME",
    multiple=True,
    help="Serve this receiver only; may be given several times.",
)
@click.option(
    "--lease",
    type=DURATION,
    default="30s",
    show_default=True,
    help="How long a worker that is silent keeps its deliveries.",
)
@click.option(
    "--grace",
    type=DURATION,
    default="30s",
    show_default=True,
    help="How long receivers may go on when the worker is to stop.",
)
@click.option("--name", metavar="TEXT", help="Who the worker is; by default MACHINE:PROCESS.")
@app_option
@traceback_option
@click.pass_context
def work(  # noqa: PLR0913 - each is an option
    ctx: click.Context,
    *,
    outbox: str | None,
    concurrency: int,
    receivers: tuple[str, ...],
    lease: float,
    grace: float,
    name: str | None,
    traceback: bool,
) -> None:
    """Run durable deliveries until told to stop.

    SIGTERM or Ctrl-C ends it: what runs may finish, the rest is given back. A second one does not
    wait. Failures are told on the standard error, unless the app has set up logging.

    \b
      aldis worker --app shop:app --concurrency 8
      aldis worker --outbox shop.db:outbox --receiver billing.receipt

    With both --app and --outbox, the app is imported for its receivers.

    \b
    Exit codes: 0 stopped as asked, 2 it could not begin or had to give up, 130
    told twice to stop.
    """
    app, found, place = _find(ctx, outbox, traceback=traceback)
    _check_place(place)
    worker = _make_worker(
        found,
        app,
        concurrency=concurrency,
        lease=lease,
        grace=grace,
        receivers=receivers or None,
        name=name,
    )
    heading = [f"worker {worker.name}: {place}, {concurrency} at a time"]
    heading += [f"  {_in_words(each)}" for each in _served(receivers)]
    if advice := advice_on_log(place):
        heading.append(advice)
    _log_to_stderr()
    _print_line_by_line()
    _run(worker, "\n".join(heading))


# -- what it works on ------------------------------------------------------------------------------


def _find(ctx: click.Context, outbox: str | None, *, traceback: bool) -> tuple[Any, Any, Place]:
    """Return the app, or ``None``, its outbox, and where that is."""
    app = None
    if outbox is None or ctx.meta.get(APP) is not None:
        app = load(ctx, traceback=traceback)
    if outbox is not None:
        found, name = load_object(ctx, outbox, traceback=traceback), outbox
    else:
        found, name = find_outbox(app), "the app's outbox"
    with context_of(app), refusals():
        return app, found, place_of(found, name)


def _check_place(place: Place) -> None:
    """Make sure that there is something to work on, before anything is begun.

    Raises:
        DatabaseError: There is not.
    """
    refuse_memory(place, "is seen by no other process, so that nothing ever gets to a worker")
    refuse_missing_file(place)
    with refusals():
        from aldis.durable.store.sql.migrate import check  # noqa: PLC0415 - it needs SQLAlchemy

        place.call(lambda bind: check(bind, place.prefix, place.schema))


def _make_worker(outbox: Any, app: Any, **settings: Any) -> Worker:
    from aldis.durable import Worker  # noqa: PLC0415 - it needs SQLAlchemy

    context = getattr(app, "app_context", None) or nullcontext
    with refusals():
        return Worker(outbox, app=app, context=context, **settings)


def _served(receivers: tuple[str, ...]) -> list[Durable[..., Any]]:
    """Return the receivers that will be served.

    Raises:
        DatabaseError: There are none, or one is unknown.
    """
    from aldis.durable.receiver import all_receivers, served_receivers  # noqa: PLC0415 - it needs SQLAlchemy

    with refusals():
        found = {*served_receivers(receivers or None).values()}
    if found:
        return sorted(found, key=lambda receiver: receiver.name)
    if receivers:
        raise DatabaseError(f"not connected to any signal: {', '.join(receivers)}")
    idle = ", ".join(each.name for each in all_receivers())
    raise DatabaseError(
        "there is no durable receiver to serve: "
        + (f"not connected to any signal: {idle}" if idle else "is the module with them imported?")
    )


def _in_words(receiver: Durable[..., Any]) -> str:
    also = ", async" if receiver.is_async else ""
    return f"{receiver.name} of {', '.join(receiver.signals)}{also}"


# -- running ---------------------------------------------------------------------------------------


def _run(worker: Worker, heading: str) -> None:
    """Run ``worker`` in a thread of its own, and stop it when a signal says so.

    Args:
        worker: The worker.
        heading: What is told as soon as it can be stopped.

    Raises:
        DatabaseError: It cannot work on its database.
    """
    failed: list[BaseException] = []

    def run(ended: Callable[[], object]) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised again, in the main thread
            failed.append(error)
        ended()

    with _News() as news:
        _tell(heading)
        Thread(target=run, args=(news.tell_end,), name="aldis-worker", daemon=True).start()
        hurried = _wait(worker, news)
    if failed:
        with refusals():
            raise failed[0]
    given_back = f", {worker.given_back} given back" if worker.given_back else ""
    _tell(f"worker {worker.name}: {worker.done} done, {worker.failed} failed{given_back}")
    if worker.left_running or hurried:
        _end_now(AT_ONCE if hurried else 0)


def _wait(worker: Worker, news: _News) -> bool:
    """Return when the worker has ended, or been told three times to; true if it was in haste."""
    told = 0
    while True:
        number = news.wait(HURRY if told > 1 else None)
        if number == ENDED:
            return told > 1
        told += 1
        if told > 2:  # noqa: PLR2004 - somebody has said it three times, or waited long enough
            _tell("what this worker had is delivered again once its lease has run out")
            return True
        if told == 1:
            name = signal.Signals(number).name
            _tell(f"{name}: finishing what runs; once more ends the worker at once")
        with suppress(OSError):  # it has ended in this moment
            worker.stop()


class _News:
    """What the main thread waits for: a signal, or the worker's end.

    Python writes the number of a signal into a socket, whatever the main thread is about to do.
    What is only noted in a handler can be overlooked by a thread that goes to sleep just then.
    """

    def __enter__(self) -> Self:
        self._here, self._there = socketpair()
        self._there.settimeout(0)
        self._fd = signal.set_wakeup_fd(self._there.fileno(), warn_on_full_buffer=False)
        self._before = {each: signal.signal(each, lambda *_: None) for each in STOPPING}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(self._fd)
        self._here.close()
        self._there.close()

    def tell_end(self) -> None:
        """Say that the worker has ended."""
        with suppress(OSError):  # nobody waits any more
            self._there.send(bytes([ENDED]))

    def wait(self, seconds: float | None) -> int:
        """Return the number of a signal that stops, or ``ENDED``; ``LATE`` if none has come."""
        self._here.settimeout(seconds)
        try:
            while (number := self._here.recv(1)[0]) not in (ENDED, *STOPPING):
                pass  # another signal of the app's
        except TimeoutError:
            return LATE
        return number


def _end_now(code: int) -> None:
    """End the process although receivers run in its threads."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _log_to_stderr() -> None:
    """Write what the worker logs, unless the app has said where it goes."""
    logger = logging.getLogger("aldis")
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)


def _print_line_by_line() -> None:
    """Write what receivers print at once, also where it goes into a file or a pipe."""
    if hasattr(sys.stdout, "reconfigure"):  # it may be closed, or the app's own
        sys.stdout.reconfigure(line_buffering=True)


def _tell(text: str) -> None:
    with suppress(OSError):  # nobody listens: the work goes on
        print(text, file=sys.stderr, flush=True)
