"""The tree of what happened: which send, which receivers, what they sent in turn.

::

    with trace() as seen:
        order_paid.send(shop, order_id=7)
    print(seen)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os.path import relpath
from threading import Lock, current_thread
from typing import Any, Final

from aldis.core.callables import location, name_of
from aldis.core.explain import describe_sender
from aldis.core.tap import Call, Emission, Observer, attach, detach

__all__ = ["CallNode", "EmissionNode", "Trace", "trace"]

DEFAULT_LIMIT: Final = 10_000


@dataclass(slots=True)
class CallNode:
    """One receiver's turn. Text and numbers only: a trace keeps nothing of the program alive.

    Attributes:
        receiver: The receiver's name.
        location: ``file:line``, or ``None`` without a source.
        is_async: Whether it was awaited.
        nanoseconds: How long it took; ``None`` while it runs.
        error: What it raised, in words.
        emissions: What was sent inside it.
    """

    receiver: str
    location: str | None
    is_async: bool
    nanoseconds: int | None = None
    error: str | None = None
    emissions: list[EmissionNode] = field(default_factory=list)


@dataclass(slots=True)
class EmissionNode:
    """One send.

    Attributes:
        signal: The signal's name.
        sender: The sender, in words.
        how: The method that sent: ``"send"``, ``"asend"`` …
        arguments: The names of the keyword arguments.
        thread: The name of the thread that sent.
        nanoseconds: How long it took; ``None`` while it runs.
        error: What it raised, in words.
        muted: Whether the signal was muted.
        calls: The receivers that were called, in order.
        skipped: Why each receiver that was not called was not.
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


class _Tree:
    """A root and how many nodes hang on it."""

    __slots__ = ("root", "size")

    def __init__(self, root: EmissionNode) -> None:
        self.root = root
        self.size = 1


class Trace(Observer):
    """Records emissions as trees, until it is detached.

    A send inside a receiver belongs to that receiver's call, in another thread or task too, as far
    as context variables reach there. Printed, it is the trees; with rich, in colour.

    Args:
        limit: How many emissions and calls are kept. Beyond it the oldest trees are forgotten, and
            of a tree that is larger alone, what comes last.

    Attributes:
        dropped: How many emissions and calls were not kept.

    Raises:
        ValueError: ``limit`` is not positive.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        if limit < 1:
            message = f"a trace must keep at least 1 emission, not {limit}"
            raise ValueError(message)
        self.limit = limit
        self.dropped = 0
        self._trees: deque[_Tree] = deque()
        self._kept = 0
        self._lock = Lock()

    @property
    def roots(self) -> list[EmissionNode]:
        """The sends that no receiver caused, the oldest first."""
        with self._lock:
            return [tree.root for tree in self._trees]

    def clear(self) -> None:
        """Forget what was recorded."""
        with self._lock:
            self._trees.clear()
            self._kept = self.dropped = 0

    # -- observing -----------------------------------------------------------------------------

    def emission_started(self, emission: Emission) -> None:
        """Hang a node for the send under the call that caused it."""
        node = EmissionNode(
            signal=getattr(emission.signal, "name", None) or "unnamed signal",
            sender=describe_sender(emission.sender),
            how=emission.how,
            arguments=tuple(emission.payload),
            thread=current_thread().name,
            muted=emission.muted,
        )
        parent, tree = (emission.cause.spans if emission.cause else {}).get(self, (None, None))
        kept: EmissionNode | None = node
        with self._lock:
            if tree is None:
                tree = _Tree(node)
                self._trees.append(tree)
                self._kept += 1
                self._forget_oldest()
            elif self._has_room(tree, parent):
                parent.emissions.append(node)
            else:
                kept = None
        emission.spans[self] = kept, tree

    def call_started(self, call: Call) -> None:
        """Hang a node for the receiver under the send."""
        parent, tree = call.emission.spans.get(self, (None, None))
        if tree is None:
            return
        node: CallNode | None = CallNode(
            name_of(call.receiver), location(call.receiver), call.is_async
        )
        with self._lock:
            if self._has_room(tree, parent):
                parent.calls.append(node)
            else:
                node = None
        call.spans[self] = node, tree

    def call_finished(self, call: Call) -> None:
        """Complete the receiver's node."""
        node, _ = call.spans.get(self, (None, None))
        if node is not None:
            node.nanoseconds = call.elapsed
            node.error = _in_words(call.error)

    def receiver_skipped(
        self,
        emission: Emission,
        receiver: Any,  # noqa: ARG002 - the protocol of observers
        reason: str,
    ) -> None:
        """Note that a receiver was not called."""
        node, _ = emission.spans.get(self, (None, None))
        if node is not None:
            node.skipped.append(reason)

    def emission_finished(self, emission: Emission) -> None:
        """Complete the send's node."""
        node, _ = emission.spans.get(self, (None, None))
        if node is not None:
            node.nanoseconds = emission.elapsed
            node.error = _in_words(emission.error)
            node.muted = emission.muted

    def _has_room(self, tree: _Tree, parent: EmissionNode | CallNode | None) -> bool:
        """Count a node in, making room for it; with the lock held."""
        if parent is None or tree.size >= self.limit:
            self.dropped += 1
            return False
        tree.size += 1
        self._kept += 1
        self._forget_oldest()
        return True

    def _forget_oldest(self) -> None:
        while self._kept > self.limit and len(self._trees) > 1:
            oldest = self._trees.popleft()
            self._kept -= oldest.size
            self.dropped += oldest.size

    # -- printing ------------------------------------------------------------------------------

    def __str__(self) -> str:
        return "\n".join(line for root in self.roots for line in _lines(root))

    def __rich__(self) -> Any:
        """Return the trees for ``rich.print``."""
        from rich.console import Group  # noqa: PLC0415 - optional

        return Group(*(_rich_tree(root) for root in self.roots))


@contextmanager
def trace(limit: int = DEFAULT_LIMIT) -> Iterator[Trace]:
    """Record what is sent while a ``with`` block runs, in every thread.

    Args:
        limit: See :class:`Trace`.
    """
    seen = Trace(limit)
    attach(seen)
    try:
        yield seen
    finally:
        detach(seen)


def _in_words(error: BaseException | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"


# -- one description for plain text and for rich ------------------------------------------------

Node = EmissionNode | CallNode
Styled = tuple[str, str]


def _describe(node: Node) -> list[Styled]:
    return _describe_emission(node) if isinstance(node, EmissionNode) else _describe_call(node)


def _describe_emission(node: EmissionNode) -> list[Styled]:
    parts = [(node.signal, "bold cyan"), (f"  sent by {node.sender}", "")]
    if node.arguments:
        parts.append((f" ({', '.join(node.arguments)})", ""))
    if node.how != "send":
        parts.append((f"  by {node.how}", "dim"))
    if node.muted:
        parts.append(("  muted", "yellow"))
    elif node.unheard:
        parts.append(("  nobody heard", "yellow"))
    else:
        parts.append((f"  {_duration(node.nanoseconds)}", "green"))
    parts += [(f"  skipped: {reason}", "yellow") for reason in node.skipped]
    return parts


def _describe_call(node: CallNode) -> list[Styled]:
    parts = [(node.receiver, "bold"), (f"  {_duration(node.nanoseconds)}", "green")]
    if node.location:
        parts.append((f"  {_short(node.location)}", "dim"))
    if node.is_async:
        parts.append(("  async", "dim"))
    if node.error:
        parts.append((f"  raised {node.error}", "bold red"))
    return parts


def _children(node: Node) -> Sequence[Node]:
    return node.calls if isinstance(node, EmissionNode) else node.emissions


def _lines(node: Node, first: str = "", rest: str = "") -> Iterator[str]:
    yield first + "".join(text for text, _ in _describe(node))
    children = _children(node)
    for number, child in enumerate(children, 1):
        last = number == len(children)
        yield from _lines(
            child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")
        )


def _rich_tree(node: Node) -> Any:
    from rich.text import Text  # noqa: PLC0415 - optional
    from rich.tree import Tree  # noqa: PLC0415 - optional

    tree = Tree(Text.assemble(*_describe(node)))
    pending = [(tree, node)]
    while pending:
        branch, parent = pending.pop()
        pending += [
            (branch.add(Text.assemble(*_describe(child))), child) for child in _children(parent)
        ]
    return tree


def _duration(nanoseconds: int | None) -> str:
    """Write a duration as people read it, in µs, ms or s."""
    if nanoseconds is None:
        return "running"
    for unit, size in (("µs", 1e3), ("ms", 1e6)):
        if nanoseconds < size * 1e3:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds / 1e9:.3g} s"


def _short(place: str) -> str:
    """Write ``file:line`` relative to the working directory where that is shorter."""
    try:
        return min(place, relpath(place), key=len)
    except ValueError:  # another drive
        return place
