"""Signals and receivers as lines for people."""

from __future__ import annotations

import inspect
from typing import Any

from aldis.cli.facts import Subscribed, argument_text
from aldis.cli.output import Page, last_name, short_place
from aldis.core import NamedSignal

__all__ = ["count", "show_receivers", "show_signal"]

INDENT = 2


def count(number: int, noun: str) -> str:
    """Write ``1 signal``, ``2 signals``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show_signal(
    page: Page, signal: NamedSignal[..., Any], note: str = "", indent: int = INDENT
) -> None:
    """Add what ``signal`` is: its name and a note, the first lines of its doc, its contract."""
    page.line((signal.name, "bold cyan"), (note, "dim"), indent=indent)
    doc = inspect.getdoc(signal) if signal.documented else None
    if doc:
        page.line(doc.partition("\n\n")[0].replace("\n", " "), indent=indent + INDENT)
    contract = signal.contract
    if contract is None:
        return
    arguments = [argument_text(parameter) for parameter in contract.payload.values()]
    if contract.open:
        arguments.append("and more")
    kind = "carries (advisory) " if contract.advisory else "carries "
    page.line((kind + (", ".join(arguments) or "nothing"), "green"), indent=indent + INDENT)


def show_receivers(page: Page, subscriptions: list[Subscribed], indent: int = INDENT) -> None:
    """Add the receivers in their order: who runs has a number, who does not has the reason."""
    number = 0
    for each in subscriptions:
        row = each.row
        number += row.runs
        page.line(
            (f"{number:>2}. " if row.runs else " -  ", "bold" if row.runs else "dim"),
            (last_name(row.receiver), "bold" if row.runs else "dim"),
            (f"  {short_place(row.location)}", "dim"),
            indent=indent,
        )
        page.line(*_details(each), indent=indent + 4)
        if row.obstacle:
            page.line((f"not called: {row.obstacle}", "yellow"), indent=indent + 4)


def _details(each: Subscribed) -> list[str | tuple[str, str]]:
    row = each.row
    details: list[str | tuple[str, str]] = [f"for {row.sender}, {row.strength}"]
    if row.is_async:
        details += [", ", ("async", "magenta")]
    if row.delivery != "plain":
        details += [", ", (row.delivery, "magenta")]
    if each.plugins:
        details += [", from plugin ", (" and ".join(each.plugins), "magenta")]
    return details
