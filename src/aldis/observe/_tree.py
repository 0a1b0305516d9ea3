"""The tree of sends and receiver calls that a trace records, as plain text and for rich."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os.path import relpath
from typing import TYPE_CHECKING, Final

from aldis.core.text import printable

if TYPE_CHECKING:
    from rich.tree import Tree

__all__ = ["CallNode", "EmissionNode", "rich_trees", "text_lines"]


@dataclass(slots=True)
class CallNode:
    """One call of a receiver. It contains text and numbers only, so it keeps no object alive.

    Attributes:
        receiver: The receiver's name.
        location: ``file:line``, or ``None`` without a source.
        is_async: Whether the call was awaited.
        nanoseconds: The duration, or ``None`` while the call runs.
        error: The exception as text, even if the delivery mode hides it from the sender.
        emissions: The sends inside the call.
        state: What the delivery mode did: ``"called"``, ``"deferred"``, ``"called after the
            commit"``, ``"recorded"``, ``"rolled back"`` or ``"not committed"``; see
            :class:`aldis.core.Call`.
        delivery_id: The id of the recorded delivery, or ``None``.
    """

    receiver: str
    location: str | None
    is_async: bool
    nanoseconds: int | None = None
    error: str | None = None
    emissions: list[EmissionNode] = field(default_factory=list)
    state: str = "called"
    delivery_id: int | None = None


@dataclass(slots=True)
class EmissionNode:
    """One send.

    Attributes:
        signal: The signal's name.
        sender: The sender as text.
        how: The method that sent: ``"send"``, ``"asend"`` …
        arguments: The names of the keyword arguments.
        thread: The name of the thread that sent.
        nanoseconds: The duration, or ``None`` while the send runs.
        error: The exception as text.
        muted: Whether the signal was muted.
        calls: The receivers that were called, in order.
        skipped: For each receiver that was not called, the reason.
    """

    signal: str
    sender: str
    how: str
    arguments: tuple[str, ...]
    thread: str
    nanoseconds: int | None = None
    error: str | None = None
    muted: bool = False
    calls: list[CallNode] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def unheard(self) -> bool:
        """Whether no receiver was called."""
        return not self.calls


#: A text and its style in rich.
Styled = tuple[str, str]
Node = EmissionNode | CallNode


def text_lines(roots: Sequence[EmissionNode], title: str | None = None) -> Iterator[str]:
    """Draw trees as plain text. With ``title`` they are the branches of one tree."""
    # Without recursion, because a tree may be deep.
    pending: list[tuple[str, str, list[Styled], Sequence[Node], EmissionNode | None]]
    if title is None:
        pending = [("", "", _describe_emission(root), root.calls, root) for root in roots]
        pending.reverse()
    else:
        pending = [("", "", [(title, "bold")], roots, None)]
    while pending:
        first, rest, parts, children, parent = pending.pop()
        yield first + "".join(printable(text) for text, _ in parts)
        for number, child in enumerate(reversed(children)):
            mark, bar = ("├─ ", "│  ") if number else ("└─ ", "   ")
            described, below, emission = _describe(child, parent)
            pending.append((rest + mark, rest + bar, described, below, emission))


def rich_trees(roots: Sequence[EmissionNode], title: str | None = None) -> list[Tree]:
    """Return trees for rich. With ``title`` they are the branches of one tree."""
    from rich.text import Text  # noqa: PLC0415 - rich is optional
    from rich.tree import Tree  # noqa: PLC0415 - rich is optional

    pending: list[tuple[Tree, Sequence[Node], EmissionNode | None]]
    if title is None:
        trees = [Tree(Text.assemble(*_printable(_describe_emission(root)))) for root in roots]
        pending = [(tree, root.calls, root) for tree, root in zip(trees, roots, strict=True)]
    else:
        trees = [Tree(Text(printable(title), style="bold"))]
        pending = [(trees[0], roots, None)]
    while pending:
        trunk, children, parent = pending.pop()
        for child in children:
            described, below, emission = _describe(child, parent)
            branch = trunk.add(Text.assemble(*_printable(described)))
            pending.append((branch, below, emission))
    return trees


def _printable(parts: list[Styled]) -> list[Styled]:
    return [(printable(text), style) for text, style in parts]


def _describe(
    node: Node, parent: EmissionNode | None
) -> tuple[list[Styled], Sequence[Node], EmissionNode | None]:
    """Return the description of a node, its children, and the send that they may belong to."""
    if isinstance(node, EmissionNode):
        return _describe_emission(node), node.calls, node
    return _describe_call(node, parent), node.emissions, None


def _describe_emission(node: EmissionNode) -> list[Styled]:
    """Describe a send. The result comes first, because a terminal cuts the end of a long line."""
    parts = [(node.signal, "bold cyan")]
    if node.muted:
        parts.append(("  muted", "yellow"))
    elif node.unheard:
        parts.append(("  no receiver", "yellow"))
    else:
        parts.append((f"  {_duration(node.nanoseconds)}", "green"))
    if node.error:
        # The receiver that raised the error shows its text.
        known = any(call.error == node.error for call in node.calls)
        parts.append(("  raised" if known else f"  raised {node.error}", "bold red"))
    parts += [(f"  skipped: {reason}", "yellow") for reason in node.skipped]
    parts.append((f"  sent by {node.sender}", ""))
    if node.arguments:
        parts.append((f" ({', '.join(node.arguments)})", "dim"))
    if node.how != "send":
        parts.append((f"  by {node.how}", "dim"))
    return parts


def _describe_call(node: CallNode, emission: EmissionNode | None) -> list[Styled]:
    # The location shows where a local function was defined, so its short name is enough.
    name = node.receiver.rpartition("<locals>.")[2]
    parts = [(name, "bold"), *_describe_state(node)]
    if node.error:
        parts.append((f"  raised {node.error}", "bold red"))
        if emission is not None and emission.error is None:
            parts.append((" (the send went on)", "yellow"))
    if node.is_async:
        parts.append(("  async", "dim"))
    if node.location:
        parts.append((f"  {_short(node.location)}", "dim"))
    return parts


def _describe_state(node: CallNode) -> list[Styled]:
    """Describe what the delivery mode did. A duration means that the receiver ran."""
    if node.state in ("called", "called after the commit"):
        after = [("  after the commit", "magenta")] if node.state != "called" else []
        return [(f"  {_duration(node.nanoseconds)}", "green"), *after]
    if node.state == "recorded":
        number = "" if node.delivery_id is None else f" {node.delivery_id}"
        return [(f"  recorded as delivery{number}", "magenta")]
    text, style = _STATES.get(node.state, (node.state, "yellow"))
    return [(f"  {text}", style)]


#: The texts of the states of receivers that did not run.
_STATES: Final[dict[str, Styled]] = {
    "deferred": ("deferred until the commit", "magenta"),
    "rolled back": ("dropped: the transaction was rolled back", "yellow"),
    "not committed": ("dropped: the session was closed without a commit", "bold yellow"),
}


def _duration(nanoseconds: int | None) -> str:
    """Return a duration as text, in µs, ms or s."""
    if nanoseconds is None:
        return "running"
    for unit, size in (("µs", 1e3), ("ms", 1e6)):
        if nanoseconds < size * 1e3:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds / 1e9:.3g} s"


def _short(place: str) -> str:
    """Return ``file:line`` relative to the working directory if that is shorter."""
    try:
        return min(place, relpath(place), key=len)
    except ValueError:  # on another drive
        return place
