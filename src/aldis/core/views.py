"""What those who look at a signal's tables see."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
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
        self._registry.sweep()
        return self._registry.receivers[key].held()

    def __iter__(self) -> Iterator[Any]:
        return iter([record.key for record in self._registry.records()])

    def __len__(self) -> int:
        return len(self._registry.records())

    def __bool__(self) -> bool:
        return len(self) > 0

    def values(self) -> ValuesView[Any]:
        """Return the receivers as they are now: whoever goes on to look sees no change."""
        return self._copy().values()

    def items(self) -> ItemsView[Any, Any]:
        """Return the identifiers and receivers as they are now; see :meth:`values`."""
        return self._copy().items()

    def _copy(self) -> dict[Any, Any]:
        # Not by way of the keys: a receiver may die between its key and its turn.
        return {record.key: record.held() for record in self._registry.records()}

    def clear(self) -> None:
        """Disconnect every receiver."""
        self._registry.clear()

    def __repr__(self) -> str:
        return f"<receivers: {self._copy()!r}>"
