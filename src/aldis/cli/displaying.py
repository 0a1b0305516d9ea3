"""Deliveries as lines for people, and as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from aldis.cli.moments import iso, span
from aldis.cli.output import Page, Styled

if TYPE_CHECKING:
    from aldis.cli.stores import LivingWorker
    from aldis.durable.types import Delivery

__all__ = [
    "add_table",
    "delivery_json",
    "label",
    "payload_json",
    "payload_lines",
    "printable",
    "state_name",
    "until",
]


def delivery_json(delivery: Delivery, worker: str | None) -> dict[str, Any]:
    """Return a delivery without its payload, as the documented schemas have it."""
    return {
        "id": delivery.id,
        "key": delivery.key,
        "emission_id": delivery.emission_id,
        "receiver": delivery.receiver,
        "signal": delivery.signal,
        "state": state_name(delivery),
        "order_key": delivery.order_key,
        "created_at": iso(delivery.created_at),
        "due_at": iso(delivery.due_at),
        "finished_at": iso(delivery.finished_at),
        "attempts": delivery.attempts,
        "lost": delivery.lost_workers,
        "worker": worker,
        "lease": delivery.worker,
        "reason": delivery.reason,
        "cause": delivery.caused_by,
        "traceparent": delivery.traceparent,
    }


def state_name(delivery: Delivery) -> str:
    """Return the state of a delivery in a word."""
    return delivery.state.label


def label(worker: LivingWorker) -> str:
    """Return a worker's name, and whether its lease has run out: it was killed, or is cut off."""
    return printable(worker.name) + (" (silent)" if worker.expires_in < 0 else "")


def until(moment: datetime, now: datetime) -> str:
    """Write when something is due."""
    seconds = (moment - now).total_seconds()
    return f"in {span(seconds)}" if seconds >= 1 else "now"


#: How deep a payload may be nested to be laid out: JSON's readers and writers all go deeper.
DEEPEST: Final = 100


def payload_lines(payload: str) -> list[str]:
    """Return the lines of a payload: indented if it is JSON, else as it is."""
    from msgspec import DecodeError  # noqa: PLC0415 - it comes with aldis[durable]
    from msgspec.json import format as indented  # noqa: PLC0415 - the same

    text = payload
    with suppress(DecodeError, RecursionError, UnicodeError):
        text = indented(payload, indent=2)  # which leaves numbers as they are written
        if any(line.startswith(" " * 2 * DEEPEST) for line in text.splitlines()):
            text = payload
    return [printable(line) for line in text.splitlines()]


def payload_json(payload: str) -> Any:
    """Return a payload as data if every reader of JSON can read it back, else as text."""
    try:
        facts = json.loads(payload, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return payload
    return payload if _is_deeper(facts, DEEPEST) else facts


def _refuse(constant: str) -> Any:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def _finite(number: str) -> float:
    value = float(number)
    return value if isfinite(value) else _refuse(number)


def _is_deeper(facts: Any, levels: int) -> bool:
    inner = [facts]
    for _ in range(levels):
        inner = [
            each
            for outer in inner
            if isinstance(outer, (list, dict))
            for each in (outer if isinstance(outer, list) else outer.values())
        ]
        if not inner:
            return False
    return True


def printable(text: str) -> str:
    """Write in one line what comes from elsewhere, so that no terminal takes it for orders."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


#: A longer cell moves what follows it, and not the cells of all other rows.
WIDEST: Final = 190


def add_table(page: Page, head: Sequence[str], rows: Sequence[Sequence[Styled]]) -> None:
    """Add rows below their heads, each column as wide as it has to be; numbers end on the right."""
    columns = [[_text(row[number]) for row in rows] for number in range(len(head))]
    right = [all(_is_number(each) for each in column) for column in columns]
    widths = [
        max(len(text) for text in (name, *column) if len(text) <= max(WIDEST, len(name)))
        for name, column in zip(head, columns, strict=True)
    ]
    for row in ([(name, "dim") for name in head], *rows):
        page.line(*_padded(row, widths, right))


def _padded(
    row: Sequence[Styled], widths: Sequence[int], right: Sequence[bool]
) -> Iterator[Styled]:
    for cell, width, ends in zip(row, widths, right, strict=True):
        text = _text(cell)
        style = "" if isinstance(cell, str) else cell[1]
        yield (text.rjust(width) if ends else text.ljust(width)), style
        yield "  "


def _is_number(text: str) -> bool:
    return text.replace(",", "").isdigit()


def _text(cell: Styled) -> str:
    return cell if isinstance(cell, str) else cell[0]
