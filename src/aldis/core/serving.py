"""Records the signal that calls a receiver, for the receivers that ask for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from aldis._compat import set_variable
from aldis.core.observers import NOT_OBSERVED

__all__ = ["Serving", "serving"]

_serving: ContextVar[Serving | None] = ContextVar("aldis_serving", default=None)


class Serving:
    """Records, during a ``with`` block, that ``signal`` calls ``receiver``.

    Args:
        signal: The signal; ``None`` if it no longer exists.
        receiver: The receiver.
        inner: Another context of the block.
    """

    __slots__ = ("_inner", "_outer", "receiver", "signal")

    def __init__(
        self,
        signal: Any,
        receiver: Any,
        inner: AbstractContextManager[object] = NOT_OBSERVED,
    ) -> None:
        self.signal: Any = signal
        self.receiver: Any = receiver
        self._inner = inner

    def __enter__(self) -> Self:
        self._outer = _serving.get()
        try:
            set_variable(_serving, self)
            self._inner.__enter__()
        except BaseException:  # an interrupt; a with statement does not call __exit__ then
            set_variable(_serving, self._outer)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # No token, because Python may close an abandoned coroutine in another context.
        set_variable(_serving, self._outer)
        self._inner.__exit__(kind, error, traceback)


def serving() -> Serving | None:
    """Return the record of the running receiver, if the receiver asks for its signal."""
    return _serving.get()
