"""``deliveries``: replayed, discarded, held back, let go on, pruned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from aldis.cli.changing import Change, carry_out, how_of, how_options
from aldis.cli.choosing import (
    FILTERS,
    LARGEST,
    ChoiceError,
    check_receiver,
    choice_of,
    choice_options,
    deliveries_command,
    never_seen,
)
from aldis.cli.displaying import state_name
from aldis.cli.moments import AGE, span
from aldis.cli.output import Page, print_json
from aldis.cli.stores import Desk, open_desk

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


def _chosen_options(function: F) -> F:
    everything = click.option("--all", "everything", is_flag=True, help="All that there are.")
    ids = click.argument("ids", nargs=-1, type=click.IntRange(1, LARGEST), metavar="[ID]...")
    return ids(choice_options(everything(how_options(function))))


# -- replay and discard ----------------------------------------------------------------------------


@deliveries_command("replay", "Have dead letters delivered again.")
@_chosen_options
@click.option("--discarded", is_flag=True, help="Choose among what was discarded instead.")
@click.pass_context
def replay_deliveries(ctx: click.Context, /, *, discarded: bool, **options: Any) -> None:
    """Make dead letters pending again, with all their attempts.

    Chosen by number, by what the options say, or all with --all. What was discarded is replayed
    when it is named by number, or chosen with --discarded.

    \b
      aldis deliveries replay 1234 1235 --app shop:app
      aldis deliveries replay --receiver billing.receipt --since 12h --app shop:app
      aldis deliveries replay --error ConnectionError --yes --app shop:app
    """
    change = Change("replay", "replayed", "dead letter", "dead letters")
    if discarded:
        change = Change("replay", "replayed", "discarded delivery", "discarded deliveries")
    _change(ctx, change, DISCARDED if discarded else DEAD, (*DEAD, *DISCARDED), options)


@deliveries_command("discard", "Have dead letters, or what waits, never delivered.")
@_chosen_options
@click.option("--waiting", is_flag=True, help="Choose among what waits instead.")
@click.pass_context
def discard_deliveries(ctx: click.Context, /, *, waiting: bool, **options: Any) -> None:
    """Have deliveries never run, or never again. Until they are pruned, they can be replayed.

    Chosen by number, by what the options say, or all with --all: among dead letters, or with
    --waiting among what waits.

    \b
      aldis deliveries discard 1234 --app shop:app
      aldis deliveries discard --signal order_paid --until 2026-11-01 --app shop:app
    """
    change = Change("discard", "discarded", "dead letter", "dead letters")
    if waiting:
        change = Change("discard", "discarded", "waiting delivery", "waiting deliveries")
    _change(ctx, change, WAITING if waiting else DEAD, (*WAITING, *DEAD), options)


def _change(
    ctx: click.Context,
    change: Change,
    states: Sequence[str],
    possible: Sequence[str],
    options: dict[str, Any],
) -> None:
    """Count what is chosen, ask, and change it.

    Args:
        ctx: Where ``--app`` has left its value.
        change: What is done.
        states: Among which states it is chosen by the options.
        possible: In which states it may be when it is named by number.
        options: The values of all options.
    """
    ids, everything = options.pop("ids"), options.pop("everything")
    how = how_of(options)
    filters = {name: options.pop(name) for name in FILTERS}
    _check_chosen(change, ids, filters, everything=everything)
    if ids:
        change, states = Change(change.verb, change.done), possible
    with open_desk(ctx, **options) as desk:
        from aldis.durable.types import State  # noqa: PLC0415 - it needs SQLAlchemy

        choice = choice_of(desk, [State[name] for name in states], filters, ids or None)
        _check_ids(desk, change, ids, possible)
        steps = desk.replay if change.verb == "replay" else desk.discard
        total = desk.count(choice)
        notes = [] if total else never_seen(desk, filters)
        code = carry_out(change, total, lambda: steps(choice), how, notes)
    ctx.exit(code)


def _check_chosen(
    change: Change, ids: Sequence[int], filters: dict[str, Any], *, everything: bool
) -> None:
    """Make sure that the command line chooses in one way.

    Raises:
        UsageError: It does not.
    """
    given = [f"--{name}" for name, value in filters.items() if value is not None]
    ways = [*(["numbers"] if ids else []), *(["--all"] if everything else []), *given[:1]]
    if not ways:
        raise click.UsageError(
            f"{change.verb} which? Say their numbers, or --receiver, --signal, --since, --until or "
            "--error, or --all"
        )
    if len(ways) > 1:
        raise click.UsageError(f"{ways[0]} and {ways[1]} choose in two ways: leave one out")


def _check_ids(desk: Desk, change: Change, ids: Sequence[int], possible: Sequence[str]) -> None:
    """Make sure that all of these are there, and in a state that allows it.

    Raises:
        ChoiceError: One is not; nothing has been changed.
    """
    if not ids:
        return
    from aldis.durable.types import DeliveryFilter, State  # noqa: PLC0415 - it needs SQLAlchemy

    found = {each.id: each for each in desk.find(DeliveryFilter(ids=ids), len(ids))}
    for number in ids:
        if number not in found:
            raise ChoiceError(
                f"there is no delivery {number}: it may have been pruned; nothing was changed"
            )
        state = found[number].state.name
        if state not in possible:
            names = [State[each].label for each in possible]
            raise ChoiceError(
                f"delivery {number} is {state_name(found[number])}, and only one that is "
                f"{', '.join(names[:-1])} or {names[-1]} can be {change.done}; nothing was changed"
            )


# -- prune -----------------------------------------------------------------------------------------


@deliveries_command("prune", "Delete what was done or discarded long ago.")
@click.option("--older-than", type=AGE, required=True, help="How long ago: 7d, 12h …")
@how_options
@click.pass_context
def prune_deliveries(ctx: click.Context, /, *, older_than: float, **options: Any) -> None:
    """Delete deliveries that were done or discarded long ago. Dead letters are never deleted.

    \b
      aldis deliveries prune --older-than 30d --app shop:app
      aldis deliveries prune --older-than 30d --yes --app shop:app    # from cron
    """
    how = how_of(options)
    age = f" older than {span(older_than)}"
    change = Change("prune", "pruned", f"completed delivery{age}", f"completed deliveries{age}")
    with open_desk(ctx, **options) as desk:
        total = desk.count_prunable(older_than)
        code = carry_out(change, total, lambda: desk.prune(older_than), how, always_ask=True)
    ctx.exit(code)


# -- pause and resume ------------------------------------------------------------------------------


def _pause_options(function: F) -> F:
    force = click.option("--force", is_flag=True, help="Even if nobody knows the receiver yet.")
    return click.argument("receiver")(force(function))


@deliveries_command("pause", "Hold back a receiver's deliveries.")
@_pause_options
@click.pass_context
def pause_receiver(
    ctx: click.Context, /, *, receiver: str, force: bool, as_json: bool, **named: Any
) -> None:
    """Hold back the deliveries of RECEIVER, in every worker; they go on being recorded.

    What runs at the moment may finish.

    \b
      aldis deliveries pause billing.receipt --app shop:app
    """
    _hold(ctx, receiver, named, pause=True, force=force, as_json=as_json)


@deliveries_command("resume", "Deliver again what was held back.")
@_pause_options
@click.pass_context
def resume_receiver(
    ctx: click.Context, /, *, receiver: str, force: bool, as_json: bool, **named: Any
) -> None:
    """Deliver again what was held back of RECEIVER.

    \b
      aldis deliveries resume billing.receipt --app shop:app
    """
    _hold(ctx, receiver, named, pause=False, force=force, as_json=as_json)


def _hold(
    ctx: click.Context,
    receiver: str,
    named: dict[str, Any],
    *,
    pause: bool,
    force: bool,
    as_json: bool,
) -> None:
    with open_desk(ctx, **named) as desk:
        if not force:
            check_receiver(desk, receiver, "; --force if it is the name of one to come")
        else:
            _check_name(receiver)
        changed = desk.pause(receiver) if pause else desk.resume(receiver)
    if as_json:
        facts = {"receiver": receiver, "paused": pause, "changed": changed}
        print_json(f"aldis-deliveries-{'pause' if pause else 'resume'}/1", facts)
        return
    page = Page()
    now, before = ("is paused", "was paused already") if pause else ("goes on", "was not paused")
    page.line((receiver, "bold cyan"), f" {now if changed else before}.")
    page.print()


def _check_name(name: str) -> None:
    from aldis.durable.receiver import check_name  # noqa: PLC0415 - it needs SQLAlchemy
    from aldis.errors import InvalidNameError  # noqa: PLC0415 - with it

    try:
        check_name(name)
    except InvalidNameError as error:
        raise ChoiceError(str(error)) from error
