"""``deliveries``: which wait, run or are dead, and everything about one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from aldis.cli.choosing import (
    LARGEST,
    ChoiceError,
    choice_of,
    choice_options,
    deliveries_command,
    never_seen,
)
from aldis.cli.displaying import (
    add_table,
    delivery_json,
    label,
    payload_json,
    payload_lines,
    printable,
    state_name,
    until,
)
from aldis.cli.moments import span
from aldis.cli.output import Page, Styled, print_json
from aldis.cli.showing import INDENT
from aldis.cli.stores import Desk, open_desk

if TYPE_CHECKING:
    from aldis.durable.types import Delivery, State

__all__ = ["list_dead", "list_pending", "list_running", "show_delivery"]

#: How long a chain of causes is followed.
GENERATIONS: Final = 100


# -- which -----------------------------------------------------------------------------------------


def _listing(
    name: str, short_help: str, states: Sequence[str], columns: Callable[..., dict[str, Styled]]
) -> click.Command:
    """Return a command that lists the deliveries in some states.

    Args:
        name: The command's.
        short_help: What it lists.
        states: The names of the states.
        columns: Called with a delivery, the time and the name of its worker; returns what each
            column has.
    """

    @deliveries_command(name, short_help)
    @choice_options
    @click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
    @click.option("--newest-first", is_flag=True, help="Begin with what was recorded last.")
    @click.pass_context
    def list_them(
        ctx: click.Context, /, *, limit: int, newest_first: bool, as_json: bool, **options: Any
    ) -> None:
        named = {each: options.pop(each) for each in ("url", "outbox", "prefix", "traceback")}
        with open_desk(ctx, **named) as desk:
            choice = choice_of(desk, _states(states), options)
            total = desk.count(choice)
            found = desk.find(choice, limit, newest_first=newest_first)
            leases = desk.workers()
            now = desk.now()
            notes = [] if total or as_json else never_seen(desk, options)
        if as_json:
            workers = {each.lease: each.name for each in leases}
            facts = [delivery_json(each, workers.get(each.worker or "")) for each in found]
            print_json("aldis-deliveries-list/1", {"total": total, "deliveries": facts})
            return
        labels = {each.lease: label(each) for each in leases}
        page = _list_page(found, total, name, lambda each: columns(each, now, labels))
        for note in notes:
            page.line(note)
        page.print()

    list_them.help = f"{short_help}\n\n\b\n  aldis deliveries {name} --app shop:app --since 12h"
    return list_them


def _list_page(
    found: Sequence[Delivery],
    total: int,
    name: str,
    columns: Callable[[Delivery], dict[str, Styled]],
) -> Page:
    page = Page()
    if not found:
        page.line(f"None is {name}." if not total else "None any more.")
        return page
    rows = [columns(each) for each in found]
    add_table(page, list(rows[0]), [list(row.values()) for row in rows])
    if total > len(found):
        page.line()
        page.line(f"{len(found):,} of {total:,}; --limit shows more.")
    return page


def _who(delivery: Delivery, now: datetime) -> dict[str, Styled]:
    return {
        "id": (str(delivery.id), "bold"),
        "receiver": (printable(delivery.receiver), "cyan"),
        "signal": printable(delivery.signal),
        "recorded": f"{span((now - delivery.created_at).total_seconds())} ago",
    }


def _pending(delivery: Delivery, now: datetime, _workers: dict[str, str]) -> dict[str, Styled]:
    special = {"behind": "behind its key", "suspect": "now, alone"}
    due = special.get(state_name(delivery)) or until(delivery.due_at, now)
    return {
        **_who(delivery, now),
        "due": due,
        "attempts": str(delivery.attempts),
        "reason": printable(delivery.reason or ""),
    }


def _running(delivery: Delivery, now: datetime, workers: dict[str, str]) -> dict[str, Styled]:
    return {
        **_who(delivery, now),
        "attempt": str(delivery.attempts),
        "worker": workers.get(delivery.worker or "", "lost"),
    }


def _dead(delivery: Delivery, now: datetime, _workers: dict[str, str]) -> dict[str, Styled]:
    ended = delivery.finished_at
    return {
        **_who(delivery, now),
        "dead": f"{span((now - ended).total_seconds())} ago" if ended else "",
        "attempts": str(delivery.attempts),
        "reason": (printable(delivery.reason or ""), "red"),
    }


def _states(names: Sequence[str]) -> tuple[State, ...]:
    from aldis.durable.types import State  # noqa: PLC0415 - it needs SQLAlchemy

    return tuple(State[name] for name in names)


list_pending = _listing(
    "pending",
    "What waits: for its time, for a worker, or behind its key.",
    ("PENDING", "QUARANTINED", "BLOCKED"),
    _pending,
)
list_running = _listing("running", "What workers have at the moment.", ("RUNNING",), _running)
list_dead = _listing("dead", "What has failed for good, and why.", ("DEAD",), _dead)


# -- one -------------------------------------------------------------------------------------------


@deliveries_command("show", "Everything about one delivery.")
@click.argument("delivery", metavar="ID|KEY")
@click.pass_context
def show_delivery(ctx: click.Context, /, *, delivery: str, as_json: bool, **named: Any) -> None:
    """Show everything about one delivery: payload, error, and what it was caused by.

    It is named by its number, or by its key, which receivers hand to other systems. What is
    recorded in the payload is shown as it is.

    \b
      aldis deliveries show 1234 --app shop:app
      aldis deliveries show 0f3a…:billing.receipt --app shop:app
    """
    with open_desk(ctx, **named) as desk:
        found = _find(desk, delivery)
        causes = _causes(desk, found)
        leases = desk.workers()
        now = desk.now()
    workers = {each.lease: each.name for each in leases}
    worker = workers.get(found.worker or "")
    if as_json:
        facts = {
            "delivery": {
                **delivery_json(found, worker),
                "payload": payload_json(found.payload),
                "traceback": found.traceback,
            },
            "causes": [delivery_json(each, workers.get(each.worker or "")) for each in causes],
        }
        print_json("aldis-deliveries-show/1", facts)
        return
    labels = {each.lease: label(each) for each in leases}
    _show_page(found, causes, labels.get(found.worker or ""), now).print()


def _find(desk: Desk, name: str) -> Delivery:
    """Return the delivery of this number or key.

    Raises:
        ChoiceError: There is none.
    """
    from aldis.durable.types import DeliveryFilter  # noqa: PLC0415 - it needs SQLAlchemy

    if re.fullmatch(r"[0-9]{1,19}", name):
        found = desk.find(DeliveryFilter(ids=(min(int(name), LARGEST),)), 1)
        if not found:
            raise ChoiceError(f"there is no delivery {name}: it may have been pruned")
        return found[0]
    match = re.fullmatch(r"([0-9a-f]{32})(?::(.+))?", name)
    if match is None:
        raise ChoiceError(
            f"{name!r} is neither the number of a delivery nor a key, which looks like "
            "0123456789abcdef0123456789abcdef:billing.receipt"
        )
    found = desk.find(DeliveryFilter(emission_id=match[1], receiver=match[2]), 20)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ChoiceError(f"there is no delivery {name}: it may have been pruned")
    each = ", ".join(f"{one.id} ({printable(one.receiver)})" for one in found)
    raise ChoiceError(f"this send has several deliveries; say which: {each}")


def _causes(desk: Desk, delivery: Delivery) -> list[Delivery]:
    """Return what it was caused by, the first cause first, as far as that is still recorded."""
    from aldis.durable.types import DeliveryFilter  # noqa: PLC0415 - it needs SQLAlchemy

    chain: list[Delivery] = []
    seen = {delivery.key}
    cause = delivery.caused_by
    while cause is not None and cause not in seen and len(chain) < GENERATIONS:
        seen.add(cause)
        emission_id, _, receiver = cause.partition(":")
        found = desk.find(DeliveryFilter(emission_id=emission_id, receiver=receiver), 1)
        if not found:
            break
        chain.insert(0, found[0])
        cause = found[0].caused_by
    return chain


def _show_page(
    found: Delivery, causes: Sequence[Delivery], worker: str | None, now: datetime
) -> Page:
    page = Page()
    page.line((f"delivery {found.id}", "bold"), f"  {state_name(found)}")
    for name, value in _facts(found, worker, now).items():
        if value:
            page.line((f"{name:<13}", "dim"), printable(value), indent=INDENT)
    page.line()
    page.line(("payload", "bold underline"))
    for line in payload_lines(found.payload):
        page.line(line, indent=INDENT)
    if found.traceback:
        page.line()
        page.line(("traceback of the last failure", "bold underline"))
        for line in found.traceback.rstrip().splitlines():
            page.line(printable(line), indent=INDENT)
    if causes or found.caused_by:
        page.line()
        _add_causes(page, found, causes)
    return page


def _facts(found: Delivery, worker: str | None, now: datetime) -> dict[str, str | None]:
    waits = state_name(found) in ("pending", "suspect")
    return {
        "receiver": found.receiver,
        "signal": found.signal,
        "key": found.key,
        "ordered by": found.order_key,
        "recorded": _when(found.created_at, now),
        "due": f"{found.due_at:%Y-%m-%d %H:%M:%S} UTC, {until(found.due_at, now)}"
        if waits
        else None,
        "ended": None if found.finished_at is None else _when(found.finished_at, now),
        "attempts": str(found.attempts),
        "lost": f"{found.lost_workers} workers were lost with it" if found.lost_workers else None,
        "worker": worker or found.worker,
        "reason": found.reason,
        "traceparent": found.traceparent,
    }


def _when(moment: datetime, now: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC, {span((now - moment).total_seconds())} ago"


def _add_causes(page: Page, found: Delivery, causes: Sequence[Delivery]) -> None:
    """Add the chain of what has caused what, as a tree of single branches."""
    page.line(("caused by", "bold underline"))
    depth = 0
    first = causes[0] if causes else found
    if first.caused_by is not None:
        page.line(f"{printable(first.caused_by)} ", ("(no longer recorded)", "dim"), indent=INDENT)
        depth = 1
    for each in [*causes, found]:
        page.line(
            "└─ " if depth else "",
            (str(each.id), "bold"),
            f"  {printable(each.signal)} → ",
            (printable(each.receiver), "cyan"),
            f"  {state_name(each)}",
            (" (this one)" if each is found else "", "dim"),
            indent=INDENT + max(0, 3 * (depth - 1)),
        )
        depth += 1
