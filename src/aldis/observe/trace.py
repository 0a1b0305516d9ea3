"""The tree of what happened: which send, which receivers, what they sent in turn.

::

    with trace() as seen:
        order_paid.send(shop, order_id=7)
    seen.print()

A server that answers requests on many threads at once keeps them apart with
``trace(everywhere=False)`` around each of them.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from os.path import relpath
from threading import Lock, current_thread
from typing import Any, Final, TextIO

from aldis.core.observers import Call, Emission, Observer, attach, detach
from aldis.core.receiver import location, name_of
from aldis.core.sender import describe_sender

__all__ = ["CallNode", "EmissionNode", "Trace", "trace"]

DEFAULT_LIMIT: Final = 10_000

#: The keys of the traces that record what is sent in this context.
_scopes: ContextVar[frozenset[object]] = ContextVar("aldis_trace_scopes", default=frozenset())


@dataclass(slots=True)
class CallNode:
    """One receiver's turn. Text and numbers only: a trace keeps nothing of the program alive.

    Attributes:
        receiver: The receiver's name.
        location: ``file:line``, or ``None`` without a source.
        is_async: Whether it was awaited.
        nanoseconds: How long it took; ``None`` while it runs.
        error: What it raised, in words, even if its delivery kept that from the sender.
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
    """A root and how many nodes hang on it; a forgotten one may still grow, but is not kept."""

    __slots__ = ("forgotten", "root", "size")

    def __init__(self, root: EmissionNode) -> None:
        self.root = root
        self.size = 1
        self.forgotten = False


class Trace(Observer):
    """Records emissions as trees, until it is detached.

    A send inside a receiver belongs to that receiver's call, in another thread or task too, as far
    as context variables reach there. Printed, it is the trees.

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
        self._scope: object | None = None
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
            for tree in self._trees:
                tree.forgotten = True
            self._trees.clear()
            self._kept = self.dropped = 0

    @contextmanager
    def _only_here(self) -> Iterator[None]:
        """Record only sends of this context, and what they cause, while a ``with`` block runs."""
        self._scope = object()
        _scopes.set(_scopes.get() | {self._scope})
        try:
            yield
        finally:
            # Not by a token: a generator may be closed in another context.
            _scopes.set(_scopes.get() - {self._scope})

    # -- observing -----------------------------------------------------------------------------

    def emission_started(self, emission: Emission) -> None:
        """Hang a node for the send under the call that caused it."""
        parent, tree = (emission.cause.spans if emission.cause else {}).get(self, (None, None))
        if tree is None and self._scope is not None and self._scope not in _scopes.get():
            return
        node = EmissionNode(
            signal=getattr(emission.signal, "name", None) or "unnamed signal",
            sender=describe_sender(emission.sender),
            how=emission.how,
            arguments=tuple(emission.payload),
            thread=current_thread().name,
            muted=emission.muted,
        )
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
        if parent is None or tree.forgotten or tree.size >= self.limit:
            self.dropped += 1
            return False
        tree.size += 1
        self._kept += 1
        self._forget_oldest()
        return True

    def _forget_oldest(self) -> None:
        while self._kept > self.limit and len(self._trees) > 1:
            oldest = self._trees.popleft()
            oldest.forgotten = True
            self._kept -= oldest.size
            self.dropped += oldest.size

    # -- printing ------------------------------------------------------------------------------

    def print(self, title: str | None = None, file: TextIO | None = None) -> None:
        """Print the trees: in colour on a terminal where rich is installed, else as plain text.

        Args:
            title: What the trees are about, such as the request in which they grew; they become the
                branches of one tree.
            file: Where to; by default ``sys.stdout``. Where that is closed, nothing is printed.
        """
        file = file or sys.stdout
        if file is None:  # as for the function print
            return
        root = None if title is None else ([(title, "bold")], self)
        if file.isatty():
            try:
                from rich.console import Console  # noqa: PLC0415 - optional
            except ModuleNotFoundError:
                pass
            else:
                Console(file=file, highlight=False).print(_rich_tree(*root) if root else self)
                return
        print("\n".join(_lines(*root)) if root else self, file=file)

    def __str__(self) -> str:
        return "\n".join(line for branch in _branches(self) for line in _lines(*branch))

    def __rich__(self) -> Any:
        """Return the trees for ``rich.print``."""
        from rich.console import Group  # noqa: PLC0415 - optional

        return Group(*(_rich_tree(*branch) for branch in _branches(self)))


@contextmanager
def trace(limit: int = DEFAULT_LIMIT, *, everywhere: bool = True) -> Iterator[Trace]:
    """Record what is sent while a ``with`` block runs.

    Args:
        limit: See :class:`Trace`.
        everywhere: In every thread and task. ``False`` records only what is sent in this context
            and in the tasks that it starts, as one request among others.
    """
    seen = Trace(limit)
    with nullcontext() if everywhere else seen._only_here():  # noqa: SLF001 - the other half of it
        attach(seen)
        try:
            yield seen
        finally:
            detach(seen)


def _in_words(error: BaseException | None) -> str | None:
    if error is None:
        return None
    try:
        text = " ".join(str(error).split())  # on one line, or it would break the tree
    except Exception:  # noqa: BLE001 - a __str__ may do anything, and a trace must not fail by it
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# -- one description for plain text and for rich ------------------------------------------------

Node = Trace | EmissionNode | CallNode
Styled = tuple[str, str]


def _describe_emission(node: EmissionNode) -> list[Styled]:
    """Describe a send, what came of it first: what is cut or wrapped is the end of a line."""
    parts = [(node.signal, "bold cyan")]
    if node.muted:
        parts.append(("  muted", "yellow"))
    elif node.unheard:
        parts.append(("  nobody heard", "yellow"))
    else:
        parts.append((f"  {_duration(node.nanoseconds)}", "green"))
    if node.error:
        # What it was stands at the receiver, unless none has raised it.
        known = any(call.error == node.error for call in node.calls)
        parts.append(("  raised" if known else f"  raised {node.error}", "bold red"))
    parts += [(f"  skipped: {reason}", "yellow") for reason in node.skipped]
    parts.append((f"  sent by {node.sender}", ""))
    if node.arguments:
        parts.append((f" ({', '.join(node.arguments)})", "dim"))
    if node.how != "send":
        parts.append((f"  by {node.how}", "dim"))
    return parts


def _describe_call(node: CallNode, emission: EmissionNode) -> list[Styled]:
    # Where a local function was defined, its location says.
    name = node.receiver.rpartition("<locals>.")[2]
    parts = [(name, "bold"), (f"  {_duration(node.nanoseconds)}", "green")]
    if node.error:
        parts.append((f"  raised {node.error}", "bold red"))
        if emission.error is None:
            parts.append((" (the send went on)", "yellow"))
    if node.is_async:
        parts.append(("  async", "dim"))
    if node.location:
        parts.append((f"  {_short(node.location)}", "dim"))
    return parts


def _branches(node: Node) -> Iterator[tuple[list[Styled], Node]]:
    """Yield what hangs on a node, described."""
    if isinstance(node, EmissionNode):
        for call in node.calls:
            yield _describe_call(call, node), call
    else:
        for emission in node.roots if isinstance(node, Trace) else node.emissions:
            yield _describe_emission(emission), emission


def _lines(parts: list[Styled], root: Node) -> Iterator[str]:
    """Draw a tree in plain text; without recursion, since it may be deep."""
    pending = [("", "", parts, root)]
    while pending:
        first, rest, parts, node = pending.pop()
        yield first + "".join(text for text, _ in parts)
        branches = list(_branches(node))
        for number, branch in enumerate(reversed(branches)):
            mark, bar = ("├─ ", "│  ") if number else ("└─ ", "   ")
            pending.append((rest + mark, rest + bar, *branch))


def _rich_tree(parts: list[Styled], root: Node) -> Any:
    from rich.text import Text  # noqa: PLC0415 - optional
    from rich.tree import Tree  # noqa: PLC0415 - optional

    tree = Tree(Text.assemble(*parts))
    pending: list[tuple[Any, Node]] = [(tree, root)]
    while pending:
        trunk, node = pending.pop()
        for described, child in _branches(node):
            pending.append((trunk.add(Text.assemble(*described)), child))
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
