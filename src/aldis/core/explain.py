"""Who would run for a sender, in which order, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aldis.core.receiver import binder_of, location, name_of
from aldis.core.sender import ANY, sender_key

if TYPE_CHECKING:
    from aldis.core.registry import Connection
    from aldis.core.signal import Signal

__all__ = ["Explanation", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One subscription, as its author would want to know it.

    Attributes:
        receiver: The receiver's name.
        location: ``file:line``, or ``None`` without a source.
        sender: The sender it listens to, in words.
        strength: ``"weak"`` or ``"strong"``.
        delivery: ``"plain"``, or the name of what decides how it is called.
        is_async: Whether it has to be awaited.
        obstacle: Why it would not be called, or ``None``.
    """

    receiver: str
    location: str | None
    sender: str
    strength: str
    delivery: str
    is_async: bool
    obstacle: str | None

    @property
    def runs(self) -> bool:
        """Whether it would be called."""
        return self.obstacle is None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a send would do. Printed, it is a text for people.

    Attributes:
        signal: The signal, in words.
        sender: The sender that was asked about, in words.
        rows: The subscriptions, in connection order.
        notes: What holds for all of them.
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
            lines.append(
                f"{mark} {row.receiver} ({row.location or 'no source'}) for {row.sender}, "
                f"{kind}{row.strength}, {row.delivery}"
            )
            if row.obstacle:
                lines.append(f"     not called: {row.obstacle}")
        if not self.rows:
            lines.append("  nobody listens")
        return "\n".join(lines)


def explain(signal: Signal[..., Any], links: Sequence[Connection], sender: Any) -> Explanation:
    """Look at ``links``, all the connections of ``signal``, with the eyes of ``sender``."""
    notes = []
    if signal.is_muted:
        notes.append("the signal is muted: a send calls nobody")
    if signal._overridden:  # noqa: SLF001 - part of the same engine
        notes.append("receivers_for is overridden and decides itself; this is what it is given")
    rows = []
    seen: set[object] = set()
    for link in links:
        pair = link.resolve()
        if pair is not None:
            rows.append(_row(link, pair[0], sender, seen))
    return Explanation(repr(signal), describe_sender(sender), tuple(rows), tuple(notes))


def _row(link: Connection, receiver: Any, sender: Any, seen: set[object]) -> Row:
    source = link.sender.get()
    obstacle = None
    if sender is not ANY and source is not ANY and sender_key(sender) != link.sender.key:
        obstacle = f"it listens to {describe_sender(source)} only"
    elif sender is not ANY and link.receiver in seen:
        obstacle = "it is called once, by its earlier connection"
    if obstacle is None:
        seen.add(link.receiver)
    decider = binder_of(receiver)
    return Row(
        receiver=name_of(receiver),
        location=location(receiver),
        sender=describe_sender(source),
        strength="weak" if link.weak else "strong",
        delivery="plain" if decider is None else type(decider).__name__.lower(),
        is_async=link.is_async,
        obstacle=obstacle,
    )


def describe_sender(sender: Any) -> str:
    """Name a sender without running its own ``__repr__``, which may be slow or have effects."""
    if sender is ANY:
        return "any sender"
    if sender is None or isinstance(sender, (bool, int, str)):
        text = repr(sender)
        return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line's worth
    kind = type(sender).__qualname__
    for attribute in ("name", "__name__"):
        name = _attribute(sender, attribute)
        if isinstance(name, str) and name:
            return f"<{kind} {name!r}>"
    return f"<{kind} at {id(sender):#x}>"


def _attribute(sender: Any, name: str) -> Any:
    try:
        return getattr(sender, name, None)
    except Exception:  # noqa: BLE001 - a property may do anything, and looking must not fail by it
        return None
