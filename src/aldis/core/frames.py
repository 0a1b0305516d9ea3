"""Tells aldis's own receivers and frames from those of the program, and hides them from users."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, TypeVar

from aldis._compat import is_protocol

__all__ = ["OWN_FOLDER", "hidden", "hide_frames", "is_hidden"]

E = TypeVar("E", bound=BaseException)
F = TypeVar("F", bound=Callable[..., Any])

#: The folder of aldis, as the frames of its functions name it. In frozen programs, ``__file__`` may
#: differ.
OWN_FOLDER: Final = os.path.dirname(is_protocol.__code__.co_filename) + os.sep  # noqa: PTH120

_MARK: Final = "_aldis_hidden"


def hidden(receiver: F) -> F:
    """Mark a receiver as aldis's own. Trees and lists of receivers then leave it out."""
    setattr(receiver, _MARK, True)
    return receiver


def is_hidden(receiver: Any) -> bool:
    """Tell whether a receiver is aldis's own."""
    return getattr(receiver, _MARK, False) is True  # a mock has every attribute


def hide_frames(error: E) -> E:
    """Remove the frames of aldis from the tracebacks of ``error``, its causes and its parts.

    A traceback that has only frames of aldis does not change.
    """
    for each in _with_causes(error):
        each.__traceback__ = _without_own_frames(each.__traceback__)
    return error


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    pending: list[BaseException | None] = [error]
    seen = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        pending += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            pending += each.exceptions


def _without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    kept = []
    current = traceback
    while current is not None:
        if not current.tb_frame.f_code.co_filename.startswith(OWN_FOLDER):
            kept.append(current)
        current = current.tb_next
    if not kept:
        return traceback
    for each, following in zip(kept, [*kept[1:], None], strict=True):
        if each.tb_next is not following:
            each.tb_next = following
    return kept[0]
