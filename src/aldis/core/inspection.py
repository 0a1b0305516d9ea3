"""Views of a signal's connections, with the names that blinker gives them."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from types import MethodType
from typing import Any, Final
from weakref import WeakMethod, ref

from aldis.core.registry import Registry
from aldis.core.sender import ANY

__all__ = ["ANY_ID", "Inspection", "ReceiversView", "make_id", "make_ref"]

#: The key for "any sender" in ``Signal._by_sender``.
ANY_ID: Final = 0


def make_id(obj: Any) -> Any:
    """Return blinker's identifier of a sender or receiver, for code that imports it.

    aldis itself does not use it, because an ``int`` sender may equal the ``id`` of an object.
    """
    if type(obj) is MethodType:
        return id(obj.__func__), id(obj.__self__)
    return obj if issubclass(type(obj), (str, int)) else id(obj)


def make_ref(obj: Any, callback: Any = None) -> Any:
    """Return a weak reference to ``obj``, which may be a bound method."""
    return WeakMethod(obj, callback) if type(obj) is MethodType else ref(obj, callback)


class ReceiversView(Mapping[Any, Any]):
    """A live mapping from the identifiers of receivers to weak references or the receivers.

    Only living receivers count. The view is false if there is none.
    """

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, key: Any) -> Any:
        self._registry.sweep()
        return self._registry.held(self._registry.receivers[key])

    def __iter__(self) -> Iterator[Any]:
        return iter([record.key for record in self._registry.records()])

    def __len__(self) -> int:
        return len(self._registry.records())

    def __bool__(self) -> bool:
        return len(self) > 0

    def values(self) -> ValuesView[Any]:
        """Return the receivers of this moment. Later changes do not affect the result."""
        return self._copy().values()

    def items(self) -> ItemsView[Any, Any]:
        """Return the identifiers and receivers of this moment; see :meth:`values`."""
        return self._copy().items()

    def _copy(self) -> dict[Any, Any]:
        # One pass over the records: a receiver may die between a look-up of its key and of itself.
        registry = self._registry
        return {record.key: registry.held(record) for record in registry.records()}

    def clear(self) -> None:
        """Disconnect every receiver."""
        self._registry.clear()

    def __repr__(self) -> str:
        return f"<receivers: {self._copy()!r}>"


class Inspection:
    """The part of :class:`Signal <aldis.core.signal.Signal>` that shows its connections."""

    __slots__ = ()

    #: The type of the sets in ``_by_sender`` and ``_by_receiver``. blinker asks users to replace it
    #: for an order of the receivers. aldis always calls receivers in connection order.
    set_class: type[set[Any]] = set

    _registry: Registry

    @property
    def receivers(self) -> ReceiversView:
        """A live view of the connected receivers. It is false if there is none."""
        return ReceiversView(self._registry)

    @property
    def _by_sender(self) -> dict[Any, set[Any]]:
        """The identifiers of the receivers of each sender."""
        return self._table(by_sender=True)

    @property
    def _by_receiver(self) -> dict[Any, set[Any]]:
        """The identifiers of the senders of each receiver."""
        return self._table(by_sender=False)

    def _table(self, *, by_sender: bool) -> dict[Any, set[Any]]:
        table: dict[Any, set[Any]] = {}
        for link in self._registry.all():
            sender = link.sender()
            sender_id = ANY_ID if sender is ANY else make_id(sender)
            receiver_id = link.receiver.key
            key, value = (sender_id, receiver_id) if by_sender else (receiver_id, sender_id)
            table.setdefault(key, self.set_class()).add(value)
        return table

    def _cleanup_bookkeeping(self) -> None:
        """Remove dead receivers and senders now instead of at the next operation."""
        self._registry.sweep()

    def _clear_state(self) -> None:
        """Disconnect every receiver. Tests of applications call this."""
        self._registry.clear()
