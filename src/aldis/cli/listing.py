"""``signals list``: who listens to what."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import click

from aldis.cli.facts import signal_json, subscribed
from aldis.cli.loading import load
from aldis.cli.naming import Known, known_signals, matching, unknown
from aldis.cli.options import signals_command
from aldis.cli.output import Page, print_json
from aldis.cli.showing import INDENT, count, show_receivers, show_signal

__all__ = ["list_signals"]


@signals_command("list", "Who listens to what, in the order of calls.")
@click.argument("pattern", required=False)
@click.option("--all", "everything", is_flag=True, help="Show the signals nobody hears in full.")
@click.pass_context
def list_signals(
    ctx: click.Context, *, pattern: str | None, everything: bool, as_json: bool, traceback: bool
) -> None:
    """List the signals and who listens to them, in the order in which they are called.

    PATTERN is a part of a signal's name, or has wildcards: 'order*'. With a colon it is compared
    with namespace:name. Signals that nobody listens to are only named, unless a PATTERN or --all
    asks for them.

    \b
      aldis signals list --app shop:app
      aldis signals list 'request-*'
      aldis signals list --json | jq '.namespaces[].signals[].name'
    """
    load(ctx, traceback=traceback)
    found = known_signals() if pattern is None else matching(pattern)
    if not found and pattern is not None:
        raise unknown(pattern, known_signals())
    if as_json:
        print_json(
            "aldis-signals-list/1", {"namespaces": [_json(*each) for each in _grouped(found)]}
        )
        return
    page = Page()
    for label, signals in _grouped(found):
        _show(page, label, signals, in_full=everything or pattern is not None)
    if not found:
        page.line("No namespace has a signal.")
    page.print()


def _grouped(found: list[Known]) -> list[tuple[str, list[Known]]]:
    return [(label, list(each)) for label, each in groupby(found, key=lambda known: known.label)]


def _json(label: str, signals: list[Known]) -> dict[str, Any]:
    return {
        "namespace": label,
        "signals": [
            {
                **signal_json(known),
                "receivers": [each.json() for each in subscribed(known.signal)],
            }
            for known in signals
        ],
    }


def _show(page: Page, label: str, signals: list[Known], *, in_full: bool) -> None:
    heard = [known for known in signals if known.signal.receivers]
    page.line(
        (label, "bold underline"),
        (f"  {count(len(signals), 'signal')}, {len(heard)} with receivers", "dim"),
    )
    page.line()
    unheard = []
    for known in signals:
        if known not in heard and not in_full:
            unheard.append(known.signal.name)
            continue
        show_signal(page, known.signal)
        show_receivers(page, subscribed(known.signal), indent=2 * INDENT)
        if known not in heard:
            page.line(("nobody listens", "yellow"), indent=2 * INDENT)
        page.line()
    if unheard:
        page.line(("nobody listens to: ", "yellow"), ", ".join(unheard), indent=INDENT)
        page.line()
