"""What receivers of ``oauth_authorized`` have done for a login that fails after all."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["if_it_fails", "taking_back", "undo"]

_STEPS: Final[ContextVar[list[Callable[[], object]] | None]] = ContextVar(
    "aldis_oauth_undo", default=None
)


@contextmanager
def taking_back() -> Generator[None]:
    """Remember, while one answer of a provider is handled, what its failure would undo."""
    reset = _STEPS.set([])
    try:
        yield
    finally:
        _STEPS.reset(reset)


def if_it_fails(step: Callable[[], object]) -> None:
    """Let ``step`` be called before ``oauth_error`` is sent for the login that is handled now.

    Args:
        step: Takes back what the caller has done. It is not called when the login succeeds.
    """
    steps = _STEPS.get()
    if steps is not None:
        steps.append(step)


def undo() -> None:
    """Take back what has been done for this login, the last step first."""
    steps = _STEPS.get()
    while steps:
        steps.pop()()
