"""``aldis deliveries replay | discard | prune | pause | resume``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click

from aldis.cli._database import open_store
from aldis.cli._deliveries import (
    FILTERS,
    LARGEST_ID,
    DeliveryError,
    check_receiver,
    chosen_signal,
    deliveries_command,
    filter_of,
    filter_options,
    names_without_deliveries,
    states_of,
)
from aldis.cli._options import AGE, RATE, WholeNumber
from aldis.cli._output import Report, duration_text, write_json
from aldis.errors import InvalidNameError

if TYPE_CHECKING:
    from aldis.cli._store import StoreClient
    from aldis.durable.store.sql.store import SqlStore
    from aldis.durable.types import DeliveryFilter

__all__ = [
    "discard_deliveries",
    "pause_receiver",
    "prune_deliveries",
    "replay_deliveries",
    "resume_receiver",
]

F = TypeVar("F", bound=Callable[..., Any])

DEAD: Final = ("DEAD",)
DISCARDED: Final = ("DISCARDED",)
WAITING: Final = ("PENDING", "QUARANTINED", "BLOCKED")

#: Seconds between two batches with ``--rate``, and between two looks for Ctrl-C.
STEP: Final = 0.1

#: The exit code after Ctrl-C or SIGTERM. Finished batches stay changed.
INTERRUPTED: Final = 130


class Operation(NamedTuple):
    """A change of deliveries, in words.

    Attributes:
        verb: The verb, such as ``replay``.
        participle: Its participle, such as ``replayed``.
        singular: The noun for one of them.
        plural: The noun for several.
    """

    verb: str
    participle: str
    singular: str = "delivery"
    plural: str = "deliveries"

    def noun_for(self, number: int) -> str:
        """Return a number and the noun."""
        return f"{number:,} {self.singular if number == 1 else self.plural}"


class Mode(NamedTuple):
    """The options that say how to carry an operation out."""

    dry_run: bool
    yes: bool
    as_json: bool


def _mode_options(function: F) -> F:
    function = click.option("--yes", "-y", is_flag=True, help="Do not ask.")(function)
    return click.option("--dry-run", is_flag=True, help="Only count.")(function)


def _pop_mode(options: dict[str, Any]) -> Mode:
    return Mode(*(options.pop(name) for name in Mode._fields))


# -- replay and discard ----------------------------------------------------------------------------


def _chosen_options(function: F) -> F:
    everything = click.option("--all", "everything", is_flag=True, help="All of them.")
    ids = click.argument("ids", nargs=-1, type=WholeNumber(1, LARGEST_ID), metavar="[ID]...")
    return ids(filter_options(everything(_mode_options(function))))


@deliveries_command("replay", "Run dead letters again.")
@_chosen_options
@click.option(
    "--rate",
    type=RATE,
    metavar="N/s",
    help="How many to replay in a second (50/s), a minute (600/m) or an hour (9000/h).",
)
@click.option("--discarded", is_flag=True, help="Choose among discarded deliveries instead.")
@click.pass_context
def replay_deliveries(
    ctx: click.Context, /, *, discarded: bool, rate: float | None, **options: Any
) -> None:
    """Make dead letters pending again, with all their attempts.

    Choose them by id, by the options below, or all of them with --all. To replay discarded
    deliveries, give their ids or add --discarded. With --rate, the command replays them little by
    little. Ctrl-C stops it, and it prints how many it has replayed.

    \b
      aldis deliveries replay 1234 1235 --app shop:app
      aldis deliveries replay --receiver billing.receipt --since 12h -A shop:app
      aldis deliveries replay --error ConnectionError --yes --app shop:app
      aldis deliveries replay --all --rate 50/s --app shop:app
    """
    operation = Operation("replay", "replayed", "dead letter", "dead letters")
    if discarded:
        operation = Operation("replay", "replayed", "discarded delivery", "discarded deliveries")
    states = DISCARDED if discarded else DEAD
    _change_chosen(ctx, operation, states, (*DEAD, *DISCARDED), options, rate)


@deliveries_command("discard", "Never run dead letters, or waiting deliveries, again.")
@_chosen_options
@click.option("--waiting", is_flag=True, help="Choose among waiting deliveries instead.")
@click.pass_context
def discard_deliveries(ctx: click.Context, /, *, waiting: bool, **options: Any) -> None:
    """Discard deliveries: no worker runs them. Until they are pruned, you can replay them.

    Choose them by id, by the options below, or all of them with --all: among dead letters, or
    with --waiting among waiting deliveries.

    \b
      aldis deliveries discard 1234 --app shop:app
      aldis deliveries discard --signal order_paid --until 2026-11-01 -A shop
    """
    operation = Operation("discard", "discarded", "dead letter", "dead letters")
    if waiting:
        operation = Operation("discard", "discarded", "waiting delivery", "waiting deliveries")
    _change_chosen(ctx, operation, WAITING if waiting else DEAD, (*WAITING, *DEAD), options)


def _change_chosen(
    ctx: click.Context,
    operation: Operation,
    states: Sequence[str],
    allowed: Sequence[str],
    options: dict[str, Any],
    rate: float | None = None,
) -> None:
    """Count the chosen deliveries, ask, and change them.

    Args:
        ctx: The context, with the value of ``--app``.
        operation: The operation.
        states: The states of deliveries that options choose.
        allowed: The states of deliveries that ids choose.
        options: The values of all options.
        rate: How many deliveries to change in a second, or ``None``.
    """
    ids, everything = options.pop("ids"), options.pop("everything")
    mode = _pop_mode(options)
    filters = {name: options.pop(name) for name in FILTERS}
    _check_one_way(operation, ids, filters, everything=everything)
    if ids:
        operation, states = Operation(operation.verb, operation.participle), allowed
    with open_store(ctx, **options) as store:
        if filters["receiver"] is not None:
            check_receiver(store, filters["receiver"])
        filters["signal"] = chosen_signal(store, filters["signal"])
        chosen = filter_of(ids=ids or None, states=states_of(states), **filters)
        _check_ids(store, operation, ids, allowed)
        total = store.call(lambda store: store.count(chosen))
        notes = [] if total else names_without_deliveries(store, filters)
        begin = _replay(chosen, rate) if operation.verb == "replay" else _discard(chosen)
        code = _carry_out(
            operation, total, lambda: store.batches(begin), mode, notes=notes, rate=rate
        )
    ctx.exit(code)


def _replay(chosen: DeliveryFilter, rate: float | None) -> Callable[[SqlStore], Iterator[int]]:
    batch = None if rate is None else max(1, int(rate * STEP))
    return lambda store: store.replay(chosen, batch=batch)


def _discard(chosen: DeliveryFilter) -> Callable[[SqlStore], Iterator[int]]:
    return lambda store: store.discard(chosen)


def _check_one_way(
    operation: Operation, ids: Sequence[int], filters: dict[str, Any], *, everything: bool
) -> None:
    """Check that the command line chooses deliveries in exactly one way.

    Raises:
        UsageError: It does not.
    """
    given = [f"--{name}" for name, value in filters.items() if value is not None]
    ways = [*(["ids"] if ids else []), *(["--all"] if everything else []), *given[:1]]
    if not ways:
        raise click.UsageError(
            f"which deliveries to {operation.verb}? Give their ids, or --receiver, --signal, "
            "--since, --until or --error, or --all"
        )
    if len(ways) > 1:
        raise click.UsageError(
            f"{ways[0]} and {ways[1]} choose deliveries in two ways: leave one out"
        )


def _check_ids(
    store: StoreClient, operation: Operation, ids: Sequence[int], allowed: Sequence[str]
) -> None:
    """Check that each id exists, and that the state of its delivery allows the operation.

    Raises:
        DeliveryError: One does not. Nothing has been changed.
    """
    if not ids:
        return
    found = store.call(lambda store: store.find(filter_of(ids=ids), limit=len(ids)))
    labels = {each.id: each.state.label for each in found}
    names = [state.label for state in states_of(allowed)]
    for number in ids:
        if number not in labels:
            raise DeliveryError(
                f"delivery {number} does not exist: it may have been pruned; nothing was changed"
            )
        if labels[number] not in names:
            raise DeliveryError(
                f"delivery {number} is {labels[number]}, and only a delivery that is "
                f"{', '.join(names[:-1])} or {names[-1]} can be {operation.participle}; nothing "
                "was changed"
            )


# -- prune -----------------------------------------------------------------------------------------


@deliveries_command("prune", "Delete deliveries that ended long ago.")
@click.option("--older-than", type=AGE, required=True, help="How long ago: 7d, 12h, 90s.")
@_mode_options
@click.pass_context
def prune_deliveries(ctx: click.Context, /, *, older_than: float, **options: Any) -> None:
    """Delete deliveries that were done or discarded long ago. Dead letters are never deleted.

    \b
      aldis deliveries prune --older-than 30d --app shop:app
      aldis deliveries prune --older-than 30d --yes --app shop:app    # from cron
    """
    mode = _pop_mode(options)
    age = f" older than {duration_text(older_than)}"
    operation = Operation(
        "prune", "pruned", f"completed delivery{age}", f"completed deliveries{age}"
    )
    with open_store(ctx, **options) as store:
        total = store.call(lambda store: store.count_prunable(older_than))
        code = _carry_out(
            operation,
            total,
            lambda: store.batches(lambda store: store.prune(older_than)),
            mode,
            always_ask=True,
        )
    ctx.exit(code)


# -- pause and resume ------------------------------------------------------------------------------


def _pause_options(function: F) -> F:
    force = click.option("--force", is_flag=True, help="Accept a receiver that is not known yet.")
    return click.argument("receiver")(force(function))


@deliveries_command("pause", "Stop running a receiver's deliveries.")
@_pause_options
@click.pass_context
def pause_receiver(
    ctx: click.Context, /, *, receiver: str, force: bool, as_json: bool, **named: Any
) -> None:
    """Pause RECEIVER: no worker starts its deliveries, which are still recorded.

    Running deliveries finish.

    \b
      aldis deliveries pause billing.receipt --app shop:app
    """
    with open_store(ctx, **named) as store:
        _check_name(store, receiver, force=force)
        changed = store.call(lambda store: store.pause(receiver))
    result = "is paused" if changed else "was paused already"
    _report_pause(receiver, result, paused=True, changed=changed, as_json=as_json)


@deliveries_command("resume", "Run a paused receiver's deliveries again.")
@_pause_options
@click.pass_context
def resume_receiver(
    ctx: click.Context, /, *, receiver: str, force: bool, as_json: bool, **named: Any
) -> None:
    """Resume RECEIVER: workers run its deliveries again.

    \b
      aldis deliveries resume billing.receipt --app shop:app
    """
    with open_store(ctx, **named) as store:
        _check_name(store, receiver, force=force)
        changed = store.call(lambda store: store.resume(receiver))
    result = "is resumed" if changed else "was not paused"
    _report_pause(receiver, result, paused=False, changed=changed, as_json=as_json)


def _report_pause(
    receiver: str, result: str, *, paused: bool, changed: bool, as_json: bool
) -> None:
    if as_json:
        facts = {"receiver": receiver, "paused": paused, "changed": changed}
        write_json(f"aldis-deliveries-{'pause' if paused else 'resume'}/1", facts)
        return
    report = Report()
    report.line((receiver, "bold cyan"), f" {result}.")
    report.print()


def _check_name(store: StoreClient, name: str, *, force: bool) -> None:
    """Check that a receiver is known or, with ``force``, that its name is valid.

    Raises:
        DeliveryError: It is not.
    """
    if not force:
        check_receiver(store, name, "; add --force for a receiver that is not known yet")
        return
    from aldis.durable.receiver import check_name  # noqa: PLC0415 - SQLAlchemy may be missing

    try:
        check_name(name)
    except InvalidNameError as error:
        raise DeliveryError(str(error)) from error


# -- carrying out ----------------------------------------------------------------------------------


def _carry_out(  # noqa: PLR0913 - the commands share it
    operation: Operation,
    total: int,
    begin: Callable[[], Iterator[int]],
    mode: Mode,
    *,
    notes: Sequence[str] = (),
    always_ask: bool = False,
    rate: float | None = None,
) -> int:
    """Ask, change batch after batch, and report the result with the notes; return the exit code."""
    done = 0
    interrupted = False
    must_ask = not mode.yes and not mode.dry_run and (total > 1 or (total > 0 and always_ask))
    declined = must_ask and not _confirm(operation, total)
    if total and not mode.dry_run and not declined:
        with _stop_signals() as signals, _progress_bar(operation, total) as advance:
            started = monotonic()
            for size in begin():
                done += size
                advance(size)
                if rate is not None and done < total:
                    _wait_until(started + done / rate, signals)
                if signals:
                    interrupted = done < total
                    break
    if mode.as_json:
        facts = {"chosen": total, operation.participle: done, "interrupted": interrupted}
        write_json(f"aldis-deliveries-{operation.verb}/1", facts)
        return INTERRUPTED if interrupted else 0
    report = Report()
    if declined:
        report.line("Nothing was changed.")
    elif mode.dry_run:
        report.line(f"{operation.noun_for(total)} would be {operation.participle}.")
    elif interrupted:
        report.line(
            ("Interrupted: ", "bold yellow"),
            f"{done:,} of {operation.noun_for(total)} are {operation.participle}, the others are "
            "unchanged.",
        )
    else:
        report.line(f"{operation.noun_for(done)} {operation.participle}.")
    for note in notes:
        report.line(note)
    report.print()
    return INTERRUPTED if interrupted else 0


def _confirm(operation: Operation, total: int) -> bool:
    """Ask the user.

    Raises:
        UsageError: The standard input is not a terminal.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError(
            f"cannot ask whether to {operation.verb} {operation.noun_for(total)}, because the "
            "standard input is not a terminal; nothing was changed; add --yes"
        )
    return click.confirm(f"{operation.verb.capitalize()} {operation.noun_for(total)}?", err=True)


def _wait_until(moment: float, signals: list[int]) -> None:
    """Wait until a moment of the steady clock, or until a signal arrives."""
    while not signals and (left := moment - monotonic()) > 0:
        sleep(min(left, STEP))


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or SIGTERM in a list; raise KeyboardInterrupt at the second."""
    received: list[int] = []

    def note(number: int, _: Any) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        for each in before:
            signal.signal(each, note)
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _progress_bar(operation: Operation, total: int) -> Iterator[Callable[[int], object]]:
    """Show a bar if there is a terminal and rich; yield the function that advances it."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        from rich.console import Console  # noqa: PLC0415 - rich is optional
        from rich.progress import Progress  # noqa: PLC0415 - rich is optional
    except ModuleNotFoundError:
        yield lambda _: None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(operation.verb, total=total)
        yield lambda size: progress.advance(bar, size)
