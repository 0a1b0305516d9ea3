"""``aldis signals list`` and ``aldis signals explain``."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import Any

import click

from aldis.cli._app import AppError, load_app, load_object
from aldis.cli._options import signals_command
from aldis.cli._output import INDENT, Report, count, write_json
from aldis.cli._signals import (
    FoundReceiver,
    FoundSignal,
    find_signal,
    known_signals,
    matching_signals,
    receivers_of,
    sender_text,
    show_receivers,
    show_signal,
    signal_json,
    unknown_signal,
)
from aldis.core import ANY, Explanation, NamedSignal
from aldis.core.sender import describe_sender, real_sender
from aldis.errors import UnboundSenderError

__all__ = ["explain", "list_signals"]

# -- list ------------------------------------------------------------------------------------------


@signals_command("list", "List the signals and their receivers.")
@click.argument("pattern", required=False)
@click.option("--all", "everything", is_flag=True, help="Show signals without receivers in full.")
@click.pass_context
def list_signals(
    ctx: click.Context, *, pattern: str | None, everything: bool, as_json: bool, traceback: bool
) -> None:
    """List the signals and their receivers, in the order of the calls.

    PATTERN is a part of the name of a signal or a receiver, or has wildcards: 'order*'. A PATTERN
    with a colon is compared with namespace:name. Without --all or a PATTERN, signals without
    receivers are only named.

    \b
      aldis signals list --app shop:app
      aldis signals list 'request-*'
      aldis signals list take_from_stock
      aldis signals list --json | jq '.namespaces[].signals[].name'
    """
    load_app(ctx, traceback=traceback)
    found = known_signals() if pattern is None else matching_signals(pattern)
    if not found and pattern is not None:
        raise unknown_signal(pattern, known_signals())
    if as_json:
        facts = [_namespace_json(*each) for each in _by_namespace(found)]
        write_json("aldis-signals-list/1", {"namespaces": facts})
        return
    report = Report()
    for label, signals in _by_namespace(found):
        _show_namespace(report, label, signals, in_full=everything or pattern is not None)
    if not found:
        report.line("No namespace has a signal.")
    report.print()


def _by_namespace(found: list[FoundSignal]) -> list[tuple[str, list[FoundSignal]]]:
    return [(label, list(each)) for label, each in groupby(found, key=lambda each: each.label)]


def _namespace_json(label: str, signals: list[FoundSignal]) -> dict[str, Any]:
    return {
        "namespace": label,
        "signals": [
            {
                **signal_json(each),
                "receivers": [receiver.json() for receiver in receivers_of(each.signal)],
            }
            for each in signals
        ],
    }


def _show_namespace(
    report: Report, label: str, signals: list[FoundSignal], *, in_full: bool
) -> None:
    connected = [each for each in signals if receivers_of(each.signal)]
    report.line(
        (label, "bold underline"),
        (f"  {count(len(signals), 'signal')}, {len(connected)} with receivers", "dim"),
    )
    report.line()
    others = []
    for each in signals:
        if each not in connected and not in_full:
            others.append(each.signal.name)
            continue
        show_signal(report, each.signal)
        show_receivers(report, receivers_of(each.signal), indent=2 * INDENT)
        if each not in connected:
            report.line(("no receivers", "yellow"), indent=2 * INDENT)
        report.line()
    if others:
        report.line(("no receivers: ", "yellow"), ", ".join(others), indent=INDENT)
        report.line()


# -- explain ---------------------------------------------------------------------------------------


@signals_command("explain", "Show which receivers run for a sender.")
@click.argument("name")
@click.option(
    "--sender",
    "-s",
    metavar="VALUE",
    help="The sender: 'app' is the app, 'module:NAME' an object of a module, 'int:5' a number, "
    "'str:harbour' a text. By default: every receiver, whatever its sender.",
)
@click.pass_context
def explain(
    ctx: click.Context, *, name: str, sender: str | None, as_json: bool, traceback: bool
) -> None:
    """Show which receivers a send would call, in which order, and why it would not call others.

    NAME is the name of the signal or of one of its receivers, or namespace:name if several
    namespaces have it. order_paid, order-paid and ORDER_PAID are one name.

    \b
      aldis signals explain order_paid --app shop:app
      aldis signals explain order_paid --sender shop.models:harbour
      aldis signals explain request_started --sender app
    """
    app = load_app(ctx, traceback=traceback)
    found = find_signal(name)
    value = ANY if sender is None else _find_sender(ctx, sender, app, found.signal)
    explanation = found.signal.explain(value)
    receivers = receivers_of(found.signal, value)
    if as_json:
        write_json("aldis-signals-explain/1", _explanation_json(found, explanation, receivers))
        return
    report = Report()
    _show_explanation(report, found, explanation, receivers)
    report.print()


def _find_sender(ctx: click.Context, text: str, app: Any, signal: NamedSignal[..., Any]) -> Any:
    """Return the sender that ``--sender`` names.

    Raises:
        BadParameter: There is no such sender. The message names the forms.
    """
    if text == "app":
        return _sending_app(app)
    kind, colon, value = text.partition(":")
    if colon and kind == "str":
        return value
    if colon and kind == "int":
        return _number(value, text)
    known = _known_senders(signal)
    for sender in (*known, None):
        if text in (sender, describe_sender(sender), sender_text(describe_sender(sender))):
            return sender
    if _is_text_signal(signal):
        return text
    return _sending_object(ctx, text, known)


def _number(value: str, text: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a whole number; for the text write 'str:{text}'",
            param_hint="'--sender'",
        ) from None


def _known_senders(signal: NamedSignal[..., Any]) -> list[Any]:
    """Return the senders that receivers of ``signal`` listen to."""
    senders = (link.sender() for link in signal._registry.all())  # noqa: SLF001 - part of aldis
    return [sender for sender in senders if sender is not ANY and sender is not None]


def _is_text_signal(signal: NamedSignal[..., Any]) -> bool:
    """Tell whether the contract declares that the sender is a text."""
    return signal.contract is not None and signal.contract.sender_type is str


def _sending_object(ctx: click.Context, text: str, known: list[Any]) -> Any:
    """Return the object ``module:NAME`` or ``module.NAME``."""
    place, _, name = text.rpartition(":" if ":" in text else ".")
    if not place or not name:
        raise _unknown_sender(text, "", known)
    try:
        return real_sender(load_object(ctx, f"{place}:{name}"))
    except AppError as error:
        raise _unknown_sender(text, f": {error.message}", known) from error
    except UnboundSenderError as error:
        raise _unknown_sender(
            text, ": it is a proxy that stands for no object here; for the app, write app", known
        ) from error


def _unknown_sender(text: str, why: str, known: list[Any]) -> click.BadParameter:
    listened = sorted({sender_text(describe_sender(sender)) for sender in known})
    hint = f". Receivers listen to {', '.join(listened)}" if listened else ""
    return click.BadParameter(
        f"unknown sender {text!r}{why}{hint}. Write module:NAME for an object, app for the "
        f"app, int:5 for a number, or str:{text} for the text",
        param_hint="'--sender'",
    )


def _sending_app(app: Any) -> Any:
    """Return the app that is the sender: the middleware around an ASGI app is not."""
    asgi: Any = sys.modules.get("aldis.asgi")
    return app.app if asgi is not None and isinstance(app, asgi.SignalsMiddleware) else app


def _explanation_json(
    found: FoundSignal, explanation: Explanation, receivers: list[FoundReceiver]
) -> dict[str, Any]:
    facts = []
    position = 0
    for each in receivers:
        position += each.row.runs
        facts.append(
            {
                **each.json(),
                "position": position if each.row.runs else None,
                "obstacle": each.row.obstacle,
            }
        )
    return {
        "namespace": found.label,
        "signal": signal_json(found),
        "sender": sender_text(explanation.sender),
        "notes": list(explanation.notes),
        "receivers": facts,
    }


def _show_explanation(
    report: Report, found: FoundSignal, explanation: Explanation, receivers: list[FoundReceiver]
) -> None:
    show_signal(report, found.signal, f"  in {found.label}", indent=0)
    for note in explanation.notes:
        report.line((f"note: {note}", "yellow"), indent=INDENT)
    report.line()
    running = sum(each.row.runs for each in receivers)
    if not receivers:
        report.line(("It has no receivers.", "yellow"))
        return
    sender = sender_text(explanation.sender)
    report.line(
        f"Sent by {sender}, it calls {running} of {count(len(receivers), 'receiver')}"
        + (", in this order:" if running > 1 else ":")
    )
    report.line()
    show_receivers(report, receivers, indent=INDENT)
