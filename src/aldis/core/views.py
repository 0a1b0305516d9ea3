"""What those who look at a signal's tables see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aldis.core.registry import Registry

__all__ = ["ReceiversView"]


class ReceiversView(Mapping[Any, Any]):
    """A live mapping from receivers' identifiers to receivers: weak references, or themselves.

    Only what is alive counts. Its truth and size are what blinker's users ask for.
    """

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, key: Any) -> Any:
        for record in self._registry.records():
            if record.key == key:
                return record.held()
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter([record.key for record in self._registry.records()])

    def __len__(self) -> int:
        return len(self._registry.records())

    def __bool__(self) -> bool:
        return len(self) > 0

    def clear(self) -> None:
        """Disconnect every receiver."""
        self._registry.clear()

    def __repr__(self) -> str:
        return f"<receivers: {dict(self)!r}>"
