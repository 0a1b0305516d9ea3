"""Muting: while a signal is muted, a send calls no receiver."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aldis.core.registry import Registry

__all__ = ["Muting"]


class _Block:
    """An open ``with signal.muted(everywhere=False)`` block.

    Attributes:
        signal: The muted signal; ``None`` after the block.
    """

    __slots__ = ("signal",)

    signal: Any

    def __init__(self, signal: Any) -> None:
        self.signal = signal


#: The blocks around the code that runs. Tasks and copies of the context inherit them.
_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("aldis_muted", default=())


class Muting:
    """The part of :class:`Signal <aldis.core.signal.Signal>` that mutes it."""

    _registry: Registry
    _muted: int = 0  # the open blocks that mute everywhere
    _muted_in_contexts: int = 0  # the open blocks that mute one context

    def _choose_path(self) -> None:
        raise NotImplementedError

    @property
    def is_muted(self) -> bool:
        """Whether a send from here would call no receiver."""
        return self._muted > 0 or (
            self._muted_in_contexts > 0 and any(block.signal is self for block in _blocks.get())
        )

    @is_muted.setter
    def is_muted(self, muted: bool) -> None:
        self._muted = int(bool(muted))
        self._choose_path()

    @contextmanager
    def muted(self, *, everywhere: bool = True) -> Generator[None, None, None]:
        """Call no receiver while a ``with`` block runs. Blocks may be nested and overlap.

        Args:
            everywhere: Whether to mute the signal in every thread and task. ``False`` mutes it only
                in this context, and in the tasks that the block starts.
        """
        if everywhere:
            self._count(1, 0)
            try:
                yield None
            finally:
                self._count(-1, 0)
            return
        block = _Block(self)
        self._count(0, 1)
        _blocks.set((*_blocks.get(), block))
        try:
            yield None
        finally:
            # Without a token, because Python may close a generator in another context.
            _blocks.set(tuple([each for each in _blocks.get() if each is not block]))
            block.signal = None
            self._count(0, -1)

    def _count(self, everywhere: int, in_contexts: int) -> None:
        with self._registry.lock:
            self._muted = max(0, self._muted + everywhere)
            self._muted_in_contexts += in_contexts
            self._choose_path()
