"""Muting: while a signal is muted, a send calls no receiver."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aldis._compat import set_variable
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
    #: The open blocks that mute everywhere, and ``True`` if ``is_muted`` was set.
    _muting: frozenset[object] = frozenset()
    #: ``_muting`` before ``is_muted`` was set.
    _muting_before: frozenset[object] = frozenset()
    #: The open blocks that mute one context.
    _muting_contexts: frozenset[object] = frozenset()

    def _choose_path(self) -> None:
        raise NotImplementedError

    @property
    def is_muted(self) -> bool:
        """Whether a send from here would call no receiver."""
        return bool(self._muting) or (
            bool(self._muting_contexts) and any(block.signal is self for block in _blocks.get())
        )

    @is_muted.setter
    def is_muted(self, muted: bool) -> None:
        with self._registry.lock:
            self._muting_before = self._muting
            if not muted or not self._muting:
                self._muting = frozenset({True}) if muted else frozenset()
            self._choose_path()

    @is_muted.deleter
    def is_muted(self) -> None:
        # unittest.mock deletes an attribute that it has set.
        with self._registry.lock:
            self._muting = self._muting_before
            self._choose_path()

    @contextmanager
    def muted(self, *, everywhere: bool = True) -> Generator[None, None, None]:
        """Call no receiver while a ``with`` block runs. Blocks may be nested and overlap.

        Args:
            everywhere: Whether to mute the signal in every thread and task. ``False`` mutes it only
                in this context, and in the tasks that the block starts.
        """
        block = _Block(self)
        try:
            if everywhere:
                self._open(block)
            else:
                self._open_in_context(block)
            yield None
        finally:
            if everywhere:
                self._close(block)
            else:
                self._close_in_context(block)

    def _open(self, block: _Block) -> None:
        with self._registry.lock:
            self._muting |= {block}
            self._choose_path()

    def _close(self, block: _Block) -> None:
        with self._registry.lock:
            self._muting -= {block}
            self._choose_path()

    def _open_in_context(self, block: _Block) -> None:
        with self._registry.lock:
            self._muting_contexts |= {block}
            self._choose_path()
        set_variable(_blocks, (*_blocks.get(), block))

    def _close_in_context(self, block: _Block) -> None:
        # Without a token, because Python may close a generator in another context.
        set_variable(_blocks, tuple([each for each in _blocks.get() if each is not block]))
        block.signal = None
        with self._registry.lock:
            self._muting_contexts -= {block}
            self._choose_path()
