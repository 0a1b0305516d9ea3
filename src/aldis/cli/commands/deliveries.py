"""``aldis deliveries stats | pending | running | dead | show``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from aldis.cli._database import open_store
from aldis.cli._deliveries import (
    FILTERS,
    LARGEST_ID,
    DeliveryError,
    breaker_text,
    check_receiver,
    chosen_signal,
    deliveries_command,
    delivery_json,
    due_text,
    filter_of,
    filter_options,
    names_without_deliveries,
    payload_json,
    payload_lines,
    states_of,
    worker_label,
)
from aldis.cli._options import DURATION, WholeNumber
from aldis.cli._output import INDENT, Report, Styled, duration_text, printable, write_json

if TYPE_CHECKING:
    from aldis.cli._store import StoreClient
    from aldis.durable.types import BreakerState, Delivery, DeliveryFilter, ReceiverStats

__all__ = ["list_dead", "list_pending", "list_running", "show_delivery", "show_stats"]

#: The columns of ``stats`` that count deliveries.
COUNTS: Final = ("pending", "behind", "running", "dead", "done", "discarded")

#: How many causes of a delivery are looked up.
MOST_CAUSES: Final = 100


# -- stats -----------------------------------------------------------------------------------------


@deliveries_command("stats", "Count the deliveries of each receiver.")
@click.option("--receiver", metavar="NAME", help="Only of this durable receiver.")
@click.option("--older-than", type=DURATION, help="Exit with 1 if one has been due for longer.")
@click.option("--more-than", type=WholeNumber(0), help="Exit with 1 if more than N wait.")
@click.pass_context
def show_stats(
    ctx: click.Context,
    /,
    *,
    receiver: str | None,
    older_than: float | None,
    more_than: int | None,
    as_json: bool,
    **named: Any,
) -> None:
    """Count the deliveries of each receiver, and show how long the oldest has been due.

    \b
      aldis deliveries stats --app shop:app
      aldis deliveries stats --older-than 5m --app shop:app || alert-the-team
    """
    with open_store(ctx, **named) as store:
        if receiver is not None:
            check_receiver(store, receiver)
        stats = store.call(lambda store: store.stats())
        stats = [each for each in stats if receiver in (None, each.receiver)]
        workers = store.workers()
    oldest = max((each.oldest or 0.0 for each in stats), default=0.0)
    waiting = sum(_waiting(each) for each in stats)
    alerts = []
    if older_than is not None and oldest > older_than:
        age, limit = duration_text(oldest), duration_text(older_than)
        alerts.append(f"the oldest delivery has been due for {age}, more than {limit}")
    if more_than is not None and waiting > more_than:
        alerts.append(f"{waiting:,} deliveries wait, more than {more_than:,}")
    if as_json:
        facts = {
            "receivers": [_stats_json(each) for each in stats],
            "totals": {**_totals(stats), "waiting": waiting, "oldest_due": oldest or None},
            "workers": [
                {"name": each.name, "lease": each.lease, "expires_in": each.expires_in}
                for each in workers
            ],
            "alerts": alerts,
        }
        write_json("aldis-deliveries-stats/1", facts)
    else:
        report = _stats_report(stats)
        names = sorted({worker_label(each) for each in workers})
        report.line(f"workers with a lease: {', '.join(names) or 'none'}")
        for alert in alerts:
            report.line(("alert: ", "bold red"), alert)
        report.print()
    ctx.exit(1 if alerts else 0)


def _stats_report(stats: Sequence[ReceiverStats]) -> Report:
    report = Report()
    if not stats:
        report.line("There are no deliveries.")
        return report
    rows: list[list[Styled]] = []
    for each in stats:
        counts = _counts(each)
        cells: list[Styled] = [(printable(each.receiver), "bold cyan")]
        cells += [
            (f"{counts[name]:,}", "bold red" if name == "dead" and counts[name] else "")
            for name in COUNTS
        ]
        cells.append("" if each.oldest is None else duration_text(each.oldest))
        state = "" if not each.paused else "failing" if each.breaker else "paused"
        cells.append((state, "yellow"))
        rows.append(cells)
    if len(stats) > 1:
        totals = _totals(stats)
        rows.append(["all", *(f"{totals[name]:,}" for name in COUNTS), "", ""])
    report.table(("receiver", *COUNTS, "oldest due", ""), rows)
    report.line()
    for each in stats:
        if each.breaker is not None:
            report.line((each.receiver, "bold cyan"), f" {breaker_text(each.breaker)}")
    return report


def _counts(stats: ReceiverStats) -> dict[str, int]:
    """Return the number in each column. A quarantined delivery is pending, too."""
    found = {state.label: number for state, number in stats.counts.items()}
    counts = {name: found.get(name, 0) for name in COUNTS}
    counts["pending"] += found.get("suspect", 0)
    return counts


def _waiting(stats: ReceiverStats) -> int:
    counts = _counts(stats)
    return counts["pending"] + counts["behind"]


def _totals(stats: Sequence[ReceiverStats]) -> dict[str, int]:
    counted = [_counts(each) for each in stats]
    return {name: sum(counts[name] for counts in counted) for name in COUNTS}


def _stats_json(stats: ReceiverStats) -> dict[str, Any]:
    return {
        "receiver": stats.receiver,
        **_counts(stats),
        "waiting": _waiting(stats),
        "oldest_due": stats.oldest,
        "paused": stats.paused,
        "breaker": None if stats.breaker is None else _breaker_json(stats.breaker),
    }


def _breaker_json(breaker: BreakerState) -> dict[str, Any]:
    return {
        "failures": breaker.failures,
        "failed_trials": breaker.trials,
        "reason": breaker.reason,
        "since": breaker.since,
        "trial_in": breaker.trial_in,
    }


# -- pending, running, dead ------------------------------------------------------------------------


def _list_command(
    name: str, short_help: str, states: Sequence[str], columns: Callable[..., dict[str, Styled]]
) -> click.Command:
    """Return a command that lists the deliveries in some states.

    Args:
        name: The command's name.
        short_help: The command's help.
        states: The names of the states.
        columns: A function of a delivery, the time and the labels of the workers by lease. It
            returns the cells of that row, by column.
    """

    @deliveries_command(name, short_help)
    @filter_options
    @click.option("--limit", type=WholeNumber(1, 100_000), default=50, show_default=True)
    @click.option("--newest-first", is_flag=True, help="Begin with the one recorded last.")
    @click.pass_context
    def list_deliveries(
        ctx: click.Context, /, *, limit: int, newest_first: bool, as_json: bool, **options: Any
    ) -> None:
        filters = {each: options.pop(each) for each in FILTERS}
        with open_store(ctx, **options) as store:
            if filters["receiver"] is not None:
                check_receiver(store, filters["receiver"])
            filters["signal"] = chosen_signal(store, filters["signal"])
            chosen = filter_of(states=states_of(states), **filters)
            total = store.call(lambda store: store.count(chosen))
            found = store.call(
                lambda store: store.find(chosen, limit=limit, newest_first=newest_first)
            )
            workers = store.workers()
            now = store.now()
            notes = [] if total or as_json else names_without_deliveries(store, filters)
        if as_json:
            names = {each.lease: each.name for each in workers}
            facts = [delivery_json(each, names.get(each.worker or "")) for each in found]
            write_json("aldis-deliveries-list/1", {"total": total, "deliveries": facts})
            return
        labels = {each.lease: worker_label(each) for each in workers}
        report = _list_report(name, total, [columns(each, now, labels) for each in found])
        for note in notes:
            report.line(note)
        report.print()

    list_deliveries.help = (
        f"{short_help}\n\n\b\n  aldis deliveries {name} --app shop:app --since 12h"
    )
    return list_deliveries


def _list_report(name: str, total: int, rows: Sequence[dict[str, Styled]]) -> Report:
    report = Report()
    if not rows:
        report.line(f"No delivery is {name}{' any more' if total else ''}.")
        return report
    report.table(list(rows[0]), [list(row.values()) for row in rows])
    if total > len(rows):
        report.line()
        report.line(f"{len(rows):,} of {total:,}; --limit shows more.")
    return report


def _first_columns(delivery: Delivery, now: datetime) -> dict[str, Styled]:
    return {
        "id": (str(delivery.id), "bold"),
        "receiver": (printable(delivery.receiver), "cyan"),
        "signal": printable(delivery.signal),
        "recorded": f"{duration_text((now - delivery.created_at).total_seconds())} ago",
    }


def _pending_columns(
    delivery: Delivery, now: datetime, _labels: dict[str, str]
) -> dict[str, Styled]:
    special = {"behind": "behind its key", "suspect": "now, alone"}
    return {
        **_first_columns(delivery, now),
        "due": special.get(delivery.state.label) or due_text(delivery.due_at, now),
        "attempts": str(delivery.attempts),
        "reason": printable(delivery.reason or ""),
    }


def _running_columns(
    delivery: Delivery, now: datetime, labels: dict[str, str]
) -> dict[str, Styled]:
    return {
        **_first_columns(delivery, now),
        "attempt": str(delivery.attempts),
        "worker": labels.get(delivery.worker or "", "lost"),
    }


def _dead_columns(delivery: Delivery, now: datetime, _labels: dict[str, str]) -> dict[str, Styled]:
    ended = delivery.finished_at
    return {
        **_first_columns(delivery, now),
        "dead": f"{duration_text((now - ended).total_seconds())} ago" if ended else "",
        "attempts": str(delivery.attempts),
        "reason": (printable(delivery.reason or ""), "red"),
    }


list_pending: click.Command = _list_command(
    "pending",
    "List deliveries that wait for their time, for a worker, or behind their key.",
    ("PENDING", "QUARANTINED", "BLOCKED"),
    _pending_columns,
)
list_running: click.Command = _list_command(
    "running", "List deliveries that workers run now.", ("RUNNING",), _running_columns
)
list_dead: click.Command = _list_command(
    "dead", "List dead letters and their errors.", ("DEAD",), _dead_columns
)


# -- show ------------------------------------------------------------------------------------------


@deliveries_command("show", "Show one delivery in full.")
@click.argument("delivery", metavar="ID|KEY")
@click.pass_context
def show_delivery(ctx: click.Context, /, *, delivery: str, as_json: bool, **named: Any) -> None:
    """Show one delivery in full: its payload, its error and its causes.

    Name it by its id, or by its key, which receivers pass to other systems. The payload is shown
    as it is recorded.

    \b
      aldis deliveries show 1234 --app shop:app
      aldis deliveries show 0f3a...:billing.receipt --app shop:app
    """
    with open_store(ctx, **named) as store:
        found = _find(store, delivery)
        causes = _causes(store, found)
        workers = store.workers()
        now = store.now()
    names = {each.lease: each.name for each in workers}
    if as_json:
        facts = {
            "delivery": {
                **delivery_json(found, names.get(found.worker or "")),
                "payload": payload_json(found.payload),
                "traceback": found.traceback,
            },
            "causes": [delivery_json(each, names.get(each.worker or "")) for each in causes],
        }
        write_json("aldis-deliveries-show/1", facts)
        return
    labels = {each.lease: worker_label(each) for each in workers}
    _delivery_report(found, causes, labels.get(found.worker or ""), now).print()


def _find(store: StoreClient, name: str) -> Delivery:
    """Return the delivery with this id or key.

    Raises:
        DeliveryError: There is no such delivery.
    """
    if re.fullmatch(r"[0-9]{1,19}", name):
        number = min(int(name), LARGEST_ID)
        one = _find_one(store, filter_of(ids=(number,)))
        if one is None:
            raise DeliveryError(_why_missing(store, number, name))
        return one
    match = re.fullmatch(r"([0-9a-f]{32})(?::(.+))?", name)
    if match is None:
        raise DeliveryError(
            f"{name!r} is neither the id of a delivery nor a key: write an id, or a key such as "
            "0123456789abcdef0123456789abcdef:billing.receipt"
        )
    chosen = filter_of(emission_id=match[1], receiver=match[2])
    found = store.call(lambda store: store.find(chosen, limit=20))
    if len(found) == 1:
        return found[0]
    if not found:
        raise DeliveryError(f"delivery {name} does not exist: it may have been pruned")
    each = ", ".join(f"{one.id} ({printable(one.receiver)})" for one in found)
    raise DeliveryError(f"this send has several deliveries: name one of {each}")


def _why_missing(store: StoreClient, number: int, name: str) -> str:
    state = store.state_of(number)
    if state is None:
        return f"delivery {name} does not exist: it may have been pruned"
    return (
        f"delivery {name} has the state {state!r:.40}, which this version of aldis does not know: "
        "upgrade aldis, or look at the row with SQL"
    )


def _causes(store: StoreClient, delivery: Delivery) -> list[Delivery]:
    """Return the chain of causes of a delivery as far as it is recorded, the first cause first."""
    chain: list[Delivery] = []
    seen = {delivery.key}
    key = delivery.caused_by
    while key is not None and key not in seen and len(chain) < MOST_CAUSES:
        seen.add(key)
        emission_id, _, receiver = key.partition(":")
        found = _find_one(store, filter_of(emission_id=emission_id, receiver=receiver))
        if found is None:
            break
        chain.insert(0, found)
        key = found.caused_by
    return chain


def _find_one(store: StoreClient, chosen: DeliveryFilter) -> Delivery | None:
    return next(iter(store.call(lambda store: store.find(chosen, limit=1))), None)


def _delivery_report(
    found: Delivery, causes: Sequence[Delivery], worker: str | None, now: datetime
) -> Report:
    report = Report()
    report.line((f"delivery {found.id}", "bold"), f"  {found.state.label}")
    for name, value in _fields(found, worker, now).items():
        if value:
            report.line((f"{name:<13}", "dim"), printable(value), indent=INDENT)
    report.line()
    report.line(("payload", "bold underline"))
    for line in payload_lines(found.payload):
        report.line(line, indent=INDENT)
    if found.traceback:
        report.line()
        report.line(("traceback of the last failure", "bold underline"))
        for line in found.traceback.rstrip().splitlines():
            report.line(printable(line), indent=INDENT)
    if causes or found.caused_by:
        report.line()
        _add_causes(report, found, causes)
    return report


def _fields(found: Delivery, worker: str | None, now: datetime) -> dict[str, str | None]:
    due = None
    if found.state.label in ("pending", "suspect"):
        due = f"{_utc(found.due_at)}, {due_text(found.due_at, now)}"
    return {
        "receiver": found.receiver,
        "signal": found.signal,
        "key": found.key,
        "ordered by": found.order_key,
        "recorded": _when(found.created_at, now),
        "due": due,
        "ended": None if found.finished_at is None else _when(found.finished_at, now),
        "attempts": str(found.attempts),
        "lost": f"{found.lost_workers} workers were lost with it" if found.lost_workers else None,
        "worker": worker or found.worker,
        "reason": found.reason,
        "traceparent": found.traceparent,
    }


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _when(moment: datetime, now: datetime) -> str:
    return f"{_utc(moment)}, {duration_text((now - moment).total_seconds())} ago"


def _add_causes(report: Report, found: Delivery, causes: Sequence[Delivery]) -> None:
    """Add the chain of causes as a tree, which ends with the delivery itself."""
    report.line(("caused by", "bold underline"))
    depth = 0
    first = causes[0] if causes else found
    if first.caused_by is not None:
        report.line(
            f"{printable(first.caused_by)} ", ("(no longer recorded)", "dim"), indent=INDENT
        )
        depth = 1
    for each in [*causes, found]:
        report.line(
            "\u2514\u2500 " if depth else "",
            (str(each.id), "bold"),
            f"  {printable(each.signal)} \u2192 ",
            (printable(each.receiver), "cyan"),
            f"  {each.state.label}",
            (" (this one)" if each is found else "", "dim"),
            indent=INDENT + max(0, 3 * (depth - 1)),
        )
        depth += 1
