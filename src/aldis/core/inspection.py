"""Views of a signal's connections, with the names that blinker gives them."""

from __future__ import annotations

from types import MethodType
from typing import Any
from weakref import WeakMethod, ref

from aldis.core.registry import Registry
from aldis.core.tables import ANY_ID, IndexTable, ReceiversTable, make_id

__all__ = ["ANY_ID", "Inspection", "make_id", "make_ref"]


def make_ref(obj: Any, callback: Any = None) -> Any:
    """Return a weak reference to ``obj``, which may be a bound method."""
    return WeakMethod(obj, callback) if type(obj) is MethodType else ref(obj, callback)


class Inspection:
    """The part of :class:`Signal <aldis.core.signal.Signal>` that shows its connections."""

    __slots__ = ()

    #: The type of the sets in ``_by_sender`` and ``_by_receiver``. blinker asks users to replace it
    #: for an order of the receivers. aldis always calls receivers in connection order.
    set_class: type[set[Any]] = set

    _registry: Registry

    def _use(self, table: ReceiversTable) -> None:
        raise NotImplementedError

    @property
    def receivers(self) -> ReceiversTable:
        """The connected receivers by their identifiers, as a dict. It is false if there is none.

        A change of the dict connects and disconnects receivers. If you assign another dict, the
        signal has its receivers from then on; if you assign the earlier one, the signal has its
        receivers again.
        """
        table: ReceiversTable = vars(self)["receivers"]
        return table

    @receivers.setter
    def receivers(self, receivers: Any) -> None:
        before = self.receivers
        if receivers is before:
            return
        if isinstance(receivers, ReceiversTable) and receivers.belongs_to(self):
            self._use(receivers)
            return
        table = ReceiversTable(self._registry.successor(), before)
        before.before = None
        table.update(receivers)
        self._use(table)

    @receivers.deleter
    def receivers(self) -> None:
        # unittest.mock deletes an attribute that it has set on an object that passes it on.
        before = self.receivers.before
        if before is None:
            raise AttributeError("receivers")
        self._use(before)

    @property
    def _by_sender(self) -> IndexTable:
        """The identifiers of the receivers of each sender."""
        return IndexTable(self._registry, self.set_class, by_sender=True)

    @property
    def _by_receiver(self) -> IndexTable:
        """The identifiers of the senders of each receiver."""
        return IndexTable(self._registry, self.set_class, by_sender=False)

    @property
    def _weak_senders(self) -> dict[Any, Any]:
        """Weak references to the senders that allow them, by identifier."""
        senders = {id(link.sender): link.sender for link in self._registry.all()}.values()
        return {make_id(each()): each for each in senders if each.is_weak}

    def _cleanup_bookkeeping(self) -> None:
        """Remove dead receivers and senders now instead of at the next operation."""
        self._registry.sweep()

    def _clear_state(self) -> None:
        """Disconnect every receiver. Tests of applications call this."""
        self._registry.clear()
