"""``deliveries stats``: how many there are, and how old the oldest is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from aldis.cli.choosing import check_receiver, deliveries_command
from aldis.cli.displaying import add_table, label, printable
from aldis.cli.moments import DURATION, span
from aldis.cli.output import Page, Styled, print_json
from aldis.cli.stores import open_desk

if TYPE_CHECKING:
    from aldis.durable.types import ReceiverStats

__all__ = ["show_stats"]

#: What the columns of ``stats`` count.
COLUMNS: Final = ("pending", "behind", "running", "dead", "done", "discarded")


@deliveries_command("stats", "How many there are, and how old the oldest is.")
@click.option("--receiver", metavar="NAME", help="Only of this durable receiver.")
@click.option("--older-than", type=DURATION, help="Exit with 1 if one has been due for longer.")
@click.option("--more-than", type=click.IntRange(0), help="Exit with 1 if more than N wait.")
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
    """Count the deliveries of each receiver, and say for how long the oldest has been due.

    \b
      aldis deliveries stats --app shop:app
      aldis deliveries stats --older-than 5m --app shop:app || page-somebody
    """
    with open_desk(ctx, **named) as desk:
        if receiver is not None:
            check_receiver(desk, receiver)
        loads = [each for each in desk.loads() if receiver in (None, each.receiver)]
        workers = desk.workers()
    oldest = max((each.oldest or 0.0 for each in loads), default=0.0)
    waiting = sum(_waiting(each) for each in loads)
    alerts = []
    if older_than is not None and oldest > older_than:
        alerts.append(f"the oldest has been due for {span(oldest)}, more than {span(older_than)}")
    if more_than is not None and waiting > more_than:
        alerts.append(f"{waiting:,} wait, more than {more_than:,}")
    if as_json:
        facts = {
            "receivers": [_load_json(each) for each in loads],
            "totals": {**_totals(loads), "waiting": waiting, "oldest_due": oldest or None},
            "workers": [
                {"name": each.name, "lease": each.lease, "expires_in": each.expires_in}
                for each in workers
            ],
            "alerts": alerts,
        }
        print_json("aldis-deliveries-stats/1", facts)
    else:
        page = _stats_page(loads)
        names = sorted({label(each) for each in workers})
        page.line(f"workers with a lease: {', '.join(names) or 'none'}")
        for alert in alerts:
            page.line(("alert: ", "bold red"), alert)
        page.print()
    ctx.exit(1 if alerts else 0)


def _stats_page(loads: Sequence[ReceiverStats]) -> Page:
    page = Page()
    if not loads:
        page.line("There are no deliveries.")
        return page
    rows: list[list[Styled]] = []
    for each in loads:
        counts = _counts(each)
        cells: list[Styled] = [(printable(each.receiver), "bold cyan")]
        cells += [
            (f"{counts[name]:,}", "bold red" if name == "dead" and counts[name] else "")
            for name in COLUMNS
        ]
        cells.append("" if each.oldest is None else span(each.oldest))
        cells.append(("paused", "yellow") if each.paused else "")
        rows.append(cells)
    if len(loads) > 1:
        totals = _totals(loads)
        rows.append(["all", *(f"{totals[name]:,}" for name in COLUMNS), "", ""])
    add_table(page, ("receiver", *COLUMNS, "oldest due", ""), rows)
    page.line()
    return page


def _counts(load: ReceiverStats) -> dict[str, int]:
    """Return how many are in each column; those that run alone are pending, too."""
    from aldis.durable.types import State  # noqa: PLC0415 - it needs SQLAlchemy

    labels = {state.label: state for state in State}
    counts = {name: load.counts.get(labels[name], 0) for name in COLUMNS}
    counts["pending"] += load.counts.get(State.QUARANTINED, 0)
    return counts


def _waiting(load: ReceiverStats) -> int:
    counts = _counts(load)
    return counts["pending"] + counts["behind"]


def _totals(loads: Sequence[ReceiverStats]) -> dict[str, int]:
    counted = [_counts(each) for each in loads]
    return {name: sum(counts[name] for counts in counted) for name in COLUMNS}


def _load_json(load: ReceiverStats) -> dict[str, Any]:
    return {
        "receiver": load.receiver,
        **_counts(load),
        "waiting": _waiting(load),
        "oldest_due": load.oldest,
        "paused": load.paused,
    }
