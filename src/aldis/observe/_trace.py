"""Records sends, the receivers that they call, and the sends inside these calls, as trees.

::

    with trace() as seen:
        order_paid.send(shop, order_id=7)
    seen.print()

A server with many threads records one request with ``trace(everywhere=False)`` around it.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from itertools import islice
from threading import current_thread
from types import CodeType, FunctionType, MethodType
from typing import Any, Final, TextIO

from aldis._compat import set_variable
from aldis.core.frames import is_hidden
from aldis.core.observers import Call, Emission, Observer, attach, detach
from aldis.core.process import ForkSafeLock
from aldis.core.receiver import location, name_of
from aldis.core.sender import describe_sender
from aldis.core.text import encodable, shortened
from aldis.observe._tree import CallNode, EmissionNode, rich_trees, text_lines

__all__ = ["Trace", "trace"]

DEFAULT_LIMIT: Final = 10_000

#: How many characters of a name, a location and an error a trace keeps, and how many names of
#: arguments. A trace of 10,000 nodes thus has a limit, too.
NAME: Final = 100
PLACE: Final = 500
ERROR: Final = 500
ARGUMENTS: Final = 50

#: The keys of the traces that record the sends of this context.
_scopes: ContextVar[frozenset[object]] = ContextVar("aldis_trace_scopes", default=frozenset())


class _RecordedTree:
    """A root and the number of its nodes. A dropped tree may still grow, but is not counted."""

    __slots__ = ("dropped", "root", "size")

    def __init__(self, root: EmissionNode) -> None:
        self.root: EmissionNode = root
        self.size: int = 1
        self.dropped: bool = False


class Trace(Observer):
    """Records sends as trees, until it is detached. ``str`` returns the trees as text.

    A send inside a receiver becomes a child of that receiver's call. This includes sends in other
    threads and tasks that run in a copy of its context.

    Args:
        limit: The number of sends and calls to keep. Beyond it, the oldest trees are dropped. If
            one tree alone is larger, its last nodes are dropped. Long names and errors are cut.

    Attributes:
        dropped: The number of sends and calls that were dropped.

    Raises:
        ValueError: ``limit`` is not positive.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        if limit < 1:
            message = f"a trace must keep at least 1 emission, not {limit}"
            raise ValueError(message)
        self.limit: int = limit
        self.dropped: int = 0
        self._scope: object | None = None
        self._trees: deque[_RecordedTree] = deque()
        self._kept: int = 0
        self._changing = ForkSafeLock()

    @property
    def roots(self) -> list[EmissionNode]:
        """The sends outside of any receiver, the oldest first."""
        with self._changing.lock:
            # list() is one step. During a loop, a ``__del__`` may send and change the trees.
            return [tree.root for tree in list(self._trees)]

    def clear(self) -> None:
        """Drop all recorded sends."""
        with self._changing.lock:
            for tree in list(self._trees):
                tree.dropped = True
            self._trees.clear()
            self._kept = self.dropped = 0

    @contextmanager
    def in_this_context(self) -> Iterator[None]:
        """Record only the sends of this context, while a ``with`` block runs.

        The sends inside their receivers are recorded too, in any thread.
        """
        self._scope = object()
        try:
            set_variable(_scopes, _scopes.get() | {self._scope})
            yield
        finally:
            # Without a token, because a generator may be closed in another context.
            set_variable(_scopes, _scopes.get() - {self._scope})

    # -- observing -----------------------------------------------------------------------------

    def emission_started(self, emission: Emission) -> None:
        """Add a node for the send to the call that caused it."""
        parent, tree = (emission.cause.spans if emission.cause else {}).get(self, (None, None))
        if tree is None and self._scope is not None and self._scope not in _scopes.get():
            return
        node = EmissionNode(
            signal=shortened(getattr(emission.signal, "name", None) or "unnamed signal", NAME),
            sender=describe_sender(emission.sender),
            how=emission.how,
            arguments=_names(emission.payload),
            thread=shortened(current_thread().name, NAME),
            muted=emission.muted,
        )
        added: EmissionNode | None = node
        with self._changing.lock:
            if tree is None:
                tree = _RecordedTree(node)
                self._trees.append(tree)
                self._kept += 1
                self._drop_oldest()
            elif self._has_room(tree, parent):
                parent.emissions.append(node)
            else:
                added = None
        emission.spans[self] = added, tree

    def call_started(self, call: Call) -> None:
        """Add a node for the receiver to the send, except for aldis's own receivers."""
        parent, tree = call.emission.spans.get(self, (None, None))
        if tree is None or is_hidden(call.receiver):
            return
        name, place = _label(call.receiver)
        node: CallNode | None = CallNode(name, place, call.is_async, state=call.state)
        with self._changing.lock:
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
            node.error = _error_text(call.error)

    def state_changed(self, call: Call) -> None:
        """Note what the receiver's delivery mode did."""
        node, _ = call.spans.get(self, (None, None))
        if node is not None:
            node.state = call.state
            node.delivery_id = call.delivery_id

    def receiver_skipped(
        self,
        emission: Emission,
        receiver: Any,  # noqa: ARG002 - the protocol of observers
        reason: str,
    ) -> None:
        """Record the reason why a receiver was not called."""
        node, _ = emission.spans.get(self, (None, None))
        if node is not None:
            node.skipped.append(reason)

    def emission_finished(self, emission: Emission) -> None:
        """Complete the send's node."""
        node, _ = emission.spans.get(self, (None, None))
        if node is not None:
            node.nanoseconds = emission.elapsed
            node.error = _error_text(emission.error)
            node.muted = emission.muted

    def _has_room(self, tree: _RecordedTree, parent: EmissionNode | CallNode | None) -> bool:
        """Count a new node, and drop old trees if the trace is full. The caller holds the lock."""
        if parent is None or tree.dropped or tree.size >= self.limit:
            self.dropped += 1
            return False
        tree.size += 1
        self._kept += 1
        self._drop_oldest()
        return True

    def _drop_oldest(self) -> None:
        while self._kept > self.limit and len(self._trees) > 1:
            oldest = self._trees.popleft()
            oldest.dropped = True
            self._kept -= oldest.size
            self.dropped += oldest.size

    # -- printing ------------------------------------------------------------------------------

    def print(self, title: str | None = None, file: TextIO | None = None) -> None:
        """Print the trees in one write, in colour on a terminal.

        Without rich, or if ``NO_COLOR`` is set, the text is plain.

        Args:
            title: A title such as the request. The trees become the branches of one tree.
            file: The file to print to. The default is ``sys.stdout``. If that is ``None``, nothing
                is printed, as with the function ``print``.
        """
        file = file or sys.stdout
        if file is not None:
            self.write(self.roots, title, file)

    @staticmethod
    def write(roots: Sequence[EmissionNode], title: str | None, file: TextIO) -> None:
        """Write some trees to ``file`` in one write; see :meth:`print`.

        Args:
            roots: The trees.
            title: The title, or ``None``.
            file: The file.
        """
        text = _drawn_in_colour(roots, title, file) if _shows_colour(file) else None
        if text is None:
            text = "\n".join((*text_lines(roots, title), ""))
        file.write(encodable(text, getattr(file, "encoding", None)))

    def __str__(self) -> str:
        return "\n".join(text_lines(self.roots))

    def __rich__(self) -> Any:
        """Return the trees for ``rich.print``."""
        from rich.console import Group  # noqa: PLC0415 - rich is optional

        return Group(*rich_trees(self.roots))


@contextmanager
def trace(limit: int = DEFAULT_LIMIT, *, everywhere: bool = True) -> Iterator[Trace]:
    """Record all sends while a ``with`` block runs.

    Args:
        limit: The number of sends and calls to keep; see :class:`Trace`.
        everywhere: Whether to record every thread and task. ``False`` records only the sends of
            this context and of the tasks that it starts, for example one request among others.
    """
    seen = Trace(limit)
    with ExitStack() as stack:
        if not everywhere:
            stack.enter_context(seen.in_this_context())
        stack.callback(detach, seen)  # first, because an interrupt may come before attach() returns
        attach(seen)
        yield seen


def _shows_colour(file: TextIO) -> bool:
    return file.isatty() and not os.environ.get("NO_COLOR")


def _drawn_in_colour(roots: Sequence[EmissionNode], title: str | None, file: TextIO) -> str | None:
    """Return the trees with the codes of colours; ``None`` if rich is not installed."""
    try:
        from rich.console import Console, Group  # noqa: PLC0415 - rich is optional
    except ModuleNotFoundError:
        return None
    console = Console(file=file, highlight=False)
    with console.capture() as drawn:
        console.print(Group(*rich_trees(roots, title)))
    return drawn.get()


#: The labels of functions, by the ids of their code. Each entry keeps its code, so an id is unique.
_labels: dict[int, tuple[CodeType, str, tuple[str, str | None]]] = {}


def _label(receiver: Any) -> tuple[str, str | None]:
    """Return the name and the location of a receiver. Functions are looked up once."""
    function = receiver.__func__ if type(receiver) is MethodType else receiver
    if type(function) is not FunctionType or "__wrapped__" in function.__dict__:
        return _make_label(receiver)
    code, name = function.__code__, function.__qualname__
    known = _labels.get(id(code))
    if known is not None and known[1] is name:
        return known[2]
    if len(_labels) >= DEFAULT_LIMIT:
        _labels.clear()
    label = _make_label(receiver)
    _labels[id(code)] = code, name, label
    return label


def _make_label(receiver: Any) -> tuple[str, str | None]:
    place = location(receiver)
    return shortened(name_of(receiver), NAME), place and shortened(place, PLACE)


def _names(payload: Mapping[str, Any]) -> tuple[str, ...]:
    names = tuple([shortened(name, NAME) for name in islice(payload, ARGUMENTS)])
    return names if len(payload) <= ARGUMENTS else (*names, "...")


def _error_text(error: BaseException | None) -> str | None:
    if error is None:
        return None
    try:
        # Cut before it is split, because it may be long.
        text = " ".join(shortened(str(error), 2 * ERROR).split())
    except Exception:  # noqa: BLE001 - __str__ may raise anything, and a trace must not fail
        text = ""
    kind = shortened(type(error).__name__, NAME)
    return f"{kind}: {shortened(text, ERROR)}" if text else kind
