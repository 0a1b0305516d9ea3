"""``signals explain``: who would run, and why not."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from aldis.cli.facts import Subscribed, signal_json, subscribed
from aldis.cli.loading import load
from aldis.cli.naming import Known, find
from aldis.cli.options import signals_command
from aldis.cli.output import Page, print_json
from aldis.cli.showing import INDENT, count, show_receivers, show_signal
from aldis.core import ANY, Explanation

__all__ = ["explain"]

KINDS: Final = ("int", "str")


@signals_command("explain", "Who would run for a sender, and who not.")
@click.argument("name")
@click.option(
    "--sender",
    "-s",
    metavar="VALUE",
    help="As this sender sees it: 'app' for the app, 'int:5' for a number, anything else is a "
    "text ('str:app' for the text app). By default: every receiver, whatever its sender.",
)
@click.pass_context
def explain(
    ctx: click.Context, *, name: str, sender: str | None, as_json: bool, traceback: bool
) -> None:
    """Say who would run when a signal is sent, in which order, and who would not, and why.

    NAME is the signal's name; namespace:name where several have it.

    \b
      aldis signals explain order_paid --app shop:app
      aldis signals explain request-started --sender app
    """
    app = load(ctx, traceback=traceback)
    known = find(name)
    value = ANY if sender is None else _sender(sender, app)
    explanation = known.signal.explain(value)
    subscriptions = subscribed(known.signal, value)
    if as_json:
        print_json("aldis-signals-explain/1", _json(known, explanation, subscriptions))
        return
    page = Page()
    _show(page, known, explanation, subscriptions)
    page.print()


def _sender(text: str, app: Any) -> Any:
    if text == "app":
        return _inside(app)
    kind, colon, value = text.partition(":")
    if not colon or kind not in KINDS:
        return text
    if kind == "str":
        return value
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no whole number; 'str:{text}' is the text", param_hint="'--sender'"
        ) from None


def _inside(app: Any) -> Any:
    """Return who sends for ``app``: around an ASGI app it is not the middleware."""
    asgi: Any = sys.modules.get("aldis.asgi")
    return app.app if asgi is not None and isinstance(app, asgi.SignalsMiddleware) else app


def _json(
    known: Known, explanation: Explanation, subscriptions: list[Subscribed]
) -> dict[str, Any]:
    receivers = []
    position = 0
    for each in subscriptions:
        position += each.row.runs
        receivers.append(
            {
                **each.json(),
                "position": position if each.row.runs else None,
                "obstacle": each.row.obstacle,
            }
        )
    return {
        "namespace": known.label,
        "signal": signal_json(known),
        "sender": explanation.sender,
        "notes": list(explanation.notes),
        "receivers": receivers,
    }


def _show(
    page: Page, known: Known, explanation: Explanation, subscriptions: list[Subscribed]
) -> None:
    show_signal(page, known.signal, f"  in {known.label}", indent=0)
    for note in explanation.notes:
        page.line((f"note: {note}", "yellow"), indent=INDENT)
    page.line()
    running = sum(each.row.runs for each in subscriptions)
    if not subscriptions:
        page.line(("Nobody listens.", "yellow"))
    else:
        page.line(
            f"Sent by {explanation.sender}, it calls {running} of "
            f"{count(len(subscriptions), 'receiver')}"
            + (", in this order:" if running > 1 else ":")
        )
        page.line()
        show_receivers(page, subscriptions, indent=INDENT)
