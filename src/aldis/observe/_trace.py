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
from _thread import RLock
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from itertools import islice
from threading import current_thread
from types import CodeType, FunctionType, MethodType
from typing import Any, Final, TextIO, TypeAlias

from aldis._compat import set_variable
from aldis.core.frames import is_hidden
from aldis.core.observers import Call, Emission, Observer, Progress, attach, detach
from aldis.core.process import renew_lock_after_fork
from aldis.core.receiver import code_location, location, name_of
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
    """A send and all sends and calls inside it, in the order in which they began.

    Attributes:
        entries: The sends and the calls.
        skipped: The receivers that were not called: the progress of the send, and the reason.
        dropped: Whether the trace has dropped the tree. Its later sends and calls are dropped, too.
    """

    __slots__ = ("dropped", "entries", "skipped")

    def __init__(self) -> None:
        self.entries: list[_SendEntry | _CallEntry] = []
        self.skipped: list[tuple[Progress, str]] = []
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
        self.lock: RLock  # made by the next line
        renew_lock_after_fork(self)

    @property
    def roots(self) -> list[EmissionNode]:
        """The sends outside of any receiver, the oldest first, as they are at this moment."""
        with self.lock:
            # list() is one step. During a loop, a ``__del__`` may send and change the trees.
            return [root for tree in list(self._trees) for root in _nodes(tree)]

    def clear(self) -> None:
        """Drop all recorded sends."""
        with self.lock:
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
        """Add the send to the tree of the call that caused it."""
        cause, tree, parent = emission.cause, None, None
        if cause is not None and not is_hidden(cause.receiver):
            tree, parent = cause.emission.spans.get(self), cause.progress
        if tree is None and self._scope is not None and self._scope not in _scopes.get():
            return
        name = getattr(emission.signal, "name", None) or "unnamed signal"
        thread = current_thread().name
        entry = (
            parent,
            emission.progress,
            name if type(name) is str and len(name) <= NAME else shortened(name, NAME),
            describe_sender(emission.sender),
            emission.how,
            _names(emission.payload),
            thread if type(thread) is str and len(thread) <= NAME else shortened(thread, NAME),
            emission.muted,
        )
        with self.lock:
            if tree is None:
                tree = _RecordedTree()
                self._trees.append(tree)
            self._add(tree, entry)
        emission.spans[self] = tree

    def call_started(self, call: Call) -> None:
        """Add the call to the tree of its send, except a call of aldis's own receivers."""
        emission, receiver = call.emission, call.receiver
        tree = emission.spans.get(self)
        if tree is None or is_hidden(receiver):
            return
        entry = emission.progress, call.progress, _label(receiver), call.is_async
        with self.lock:
            self._add(tree, entry)

    def call_finished(self, call: Call) -> None:
        """Keep the error as text."""
        if call.error is not None:
            call.progress.error = _error_text(call.error)

    def receiver_skipped(
        self,
        emission: Emission,
        receiver: Any,  # noqa: ARG002 - the protocol of observers
        reason: str,
    ) -> None:
        """Record the reason why a receiver was not called."""
        tree = emission.spans.get(self)
        if tree is not None:
            tree.skipped.append((emission.progress, reason))

    def emission_finished(self, emission: Emission) -> None:
        """Keep the error as text."""
        if emission.error is not None:
            emission.progress.error = _error_text(emission.error)

    def _add(self, tree: _RecordedTree, entry: _SendEntry | _CallEntry) -> None:
        """Add an entry, and drop old trees if the trace is full. The caller holds the lock."""
        entries = tree.entries
        if tree.dropped or len(entries) >= self.limit:
            self.dropped += 1
            return
        entries.append(entry)
        self._kept += 1
        while self._kept > self.limit and len(self._trees) > 1:
            oldest = self._trees.popleft()
            oldest.dropped = True
            self._kept -= len(oldest.entries)
            self.dropped += len(oldest.entries)

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


#: The name of a receiver, and its location or, for a function, its code.
_Label: TypeAlias = "tuple[str, CodeType | str | None]"

#: A recorded send: the progress of the call that caused it, its own progress, and the signal, the
#: sender, the method, the names of the arguments, the thread, and whether the signal was muted.
_SendEntry: TypeAlias = (
    "tuple[Progress | None, Progress, str, str, str, tuple[str, ...], str, bool]"
)

#: A recorded call: the progress of the send, its own progress, the receiver, and whether the call
#: is awaited.
_CallEntry: TypeAlias = "tuple[Progress, Progress, _Label, bool]"
CALL: Final = 4  # the length of such a tuple


def _label(receiver: Any) -> _Label:
    """Return the name of a receiver, and its location. The location of a function is its code."""
    function = receiver.__func__ if type(receiver) is MethodType else receiver
    if type(function) is FunctionType and not hasattr(function, "__wrapped__"):
        name = function.__qualname__
        if type(name) is str and len(name) <= NAME:
            return name, function.__code__
    place = location(receiver)
    return shortened(name_of(receiver), NAME), place and shortened(place, PLACE)


def _nodes(tree: _RecordedTree) -> list[EmissionNode]:
    """Make the nodes of a tree. Return the sends that no recorded call caused."""
    roots: list[EmissionNode] = []
    sends: dict[Progress, EmissionNode] = {}
    calls: dict[Progress, CallNode] = {}
    for entry in list(tree.entries):
        if len(entry) == CALL:
            send, progress, label, is_async = entry
            calls[progress] = call = _call_node(progress, label, is_async=is_async)
            sends[send].calls.append(call)
        else:
            cause, progress, signal, sender, how, names, thread, muted = entry
            times = _nanoseconds(progress), progress.error
            sent = EmissionNode(signal, sender, how, names, thread, *times, muted)
            sends[progress] = sent
            caller = None if cause is None else calls.get(cause)
            (roots if caller is None else caller.emissions).append(sent)
    for progress, reason in list(tree.skipped):
        if progress in sends:
            sends[progress].skipped.append(reason)
    return roots


def _call_node(progress: Progress, label: _Label, *, is_async: bool) -> CallNode:
    name, place = label
    if isinstance(place, CodeType):
        place = shortened(code_location(place), PLACE)
    node = CallNode(name, place, is_async, _nanoseconds(progress), progress.error)
    node.state, node.delivery_id = progress.state, progress.delivery_id
    return node


def _nanoseconds(progress: Progress) -> int | None:
    return None if progress.finished is None else progress.finished - progress.started


def _names(payload: Mapping[str, Any]) -> tuple[str, ...]:
    if len(payload) <= ARGUMENTS:
        for name in payload:
            if len(name) > NAME or type(name) is not str:
                break
        else:
            return tuple(payload)
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
