"""Lists the receivers that a send would call, in their order, and the reason for each other one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from aldis.core.frames import is_hidden
from aldis.core.receiver import binder_of, location, name_of
from aldis.core.registry import Connection, UidOwner, describe_source, matches
from aldis.core.sender import ANY, describe_sender
from aldis.core.text import printable

__all__ = ["Explanation", "Row", "explain"]


class Row(NamedTuple):
    """One connection of a signal.

    Attributes:
        receiver: The receiver's name.
        location: ``file:line`` of the receiver, or ``None`` if it has no source.
        sender: A text for the sender that the receiver is connected for.
        strength: ``"weak"`` or ``"strong"``.
        delivery: The receiver's delivery mode: ``"plain"``, or the name of its decorator.
        is_async: Whether the receiver must be awaited.
        obstacle: The reason why a send would not call the receiver, or ``None``.
        dispatch_uid: The ``dispatch_uid`` of the connection, or ``None``. If the receiver was
            connected with several, the text names them all.
    """

    receiver: str
    location: str | None
    sender: str
    strength: str
    delivery: str
    is_async: bool
    obstacle: str | None
    dispatch_uid: str | None = None

    @property
    def runs(self) -> bool:
        """Whether a send would call the receiver."""
        return self.obstacle is None


class Explanation(NamedTuple):
    """The result of ``signal.explain(sender)``. ``print`` shows it as a text.

    Attributes:
        signal: The name of the signal.
        sender: A text for the sender that was given to ``explain``.
        rows: The connections, in connection order.
        notes: Remarks that apply to all rows.
    """

    signal: str
    sender: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.signal}, sent by {self.sender}:"]
        lines += [f"  note: {note}" for note in self.notes]
        number = 0
        for row in self.rows:
            number += row.runs
            mark = f"{number:>3}." if row.runs else "  -"
            kind = "async, " if row.is_async else ""
            uid = f", dispatch_uid {row.dispatch_uid}" if row.dispatch_uid else ""
            lines.append(
                f"{mark} {row.receiver} ({row.location or 'no source'}) for {row.sender}, "
                f"{kind}{row.strength}, {row.delivery}{uid}"
            )
            if row.obstacle:
                lines.append(f"     not called: {row.obstacle}")
        if not self.rows:
            lines.append("  no receiver is connected")
        return "\n".join(map(printable, lines))


def explain(
    signal: str, links: Iterable[Connection], sender: Any, notes: tuple[str, ...] = ()
) -> Explanation:
    """Describe each of ``links`` for a send from ``sender``.

    Args:
        signal: The text that names the signal.
        links: All connections of the signal, in connection order.
        sender: The sender of the send. ``ANY`` describes every connection as called.
        notes: Remarks that apply to all connections.
    """
    rows = []
    seen: set[object] = set()
    for link in links:
        pair = link.resolve()
        if pair is not None and not is_hidden(pair[0]):
            rows.append(_row(link, pair[0], sender, seen))
    return Explanation(signal, describe_sender(sender), tuple(rows), notes)


def _row(link: Connection, receiver: Any, sender: Any, seen: set[object]) -> Row:
    source = describe_source(link.sender)
    obstacle = None
    if sender is not ANY and not matches(link.sender, sender):
        obstacle = f"it listens to {source} only"
    elif sender is not ANY and link.receiver.key in seen:
        obstacle = "an earlier connection calls it, and a send calls each receiver once"
    if obstacle is None:
        seen.add(link.receiver.key)
    binder = binder_of(receiver)
    uids = [owner.uid for owner, _ in link.owners if type(owner) is UidOwner]
    return Row(
        receiver=name_of(receiver),
        location=location(receiver),
        sender=source,
        strength="weak" if link.weak else "strong",
        delivery="plain" if binder is None else type(binder).__name__.lower(),
        is_async=link.receiver.info.is_async,
        obstacle=obstacle,
        dispatch_uid=", ".join(uids) or None,
    )
