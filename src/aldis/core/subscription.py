"""The handle of one subscription: one receiver, one sender, one owner."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aldis.core.callables import name_of
from aldis.core.identity import ANY

if TYPE_CHECKING:
    from aldis.core.records import Connection
    from aldis.core.signal import Signal

__all__ = ["Subscription"]


class Subscription:
    """What ``subscribe`` returned: ``cancel()`` undoes exactly this one.

    The receiver stays connected while anybody owns the connection: another subscription of the same
    receiver and sender, or ``connect``. Letting a handle be collected cancels nothing. As a context
    manager it cancels at the end of the block.
    """

    __slots__ = ("__weakref__", "_link", "_owner", "_signal")

    def __init__(self, signal: Signal[..., Any], link: Connection, owner: object) -> None:
        self._signal = signal
        self._link = link
        self._owner = owner

    @property
    def signal(self) -> Signal[..., Any]:
        """The signal that is subscribed to."""
        return self._signal

    @property
    def receiver(self) -> Any:
        """The receiver, or ``None`` once it is disconnected or dead."""
        pair = self._link.resolve()
        return None if pair is None else pair[0]

    @property
    def sender(self) -> Any:
        """The sender, ``ANY`` for every one, or ``None`` once it is dead."""
        return self._link.sender.get()

    @property
    def active(self) -> bool:
        """Whether this subscription still holds, and its receiver and sender live."""
        link = self._link
        if not link.live or link.owned_weakly(self._owner) is None:
            return False
        sender = link.sender
        alive = sender.ref is None or sender.ref() is not None
        return alive and link.resolve() is not None

    def cancel(self) -> None:
        """Undo this subscription. Doing so again does nothing."""
        self._signal._cancel(self._link, self._owner)  # noqa: SLF001 - the other half of it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def __repr__(self) -> str:
        state = "active" if self.active else "ended"
        sender = self.sender
        scope = "any sender" if sender is ANY else f"sender {sender!r}"
        return (
            f"<Subscription of {name_of(self.receiver)} to {self._signal!r} for {scope}; {state}>"
        )
