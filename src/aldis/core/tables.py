"""The tables of a signal as dicts that act on its connections, with blinker's names and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, NoReturn
from weakref import ref

from aldis.core.receiver import check_receiver, describe, receiver_key
from aldis.core.registry import Connection, Registry, SavedConnection, sender_of
from aldis.core.sender import ANY

__all__ = ["ANY_ID", "IndexTable", "ReceiversTable", "SavedReceivers", "make_id"]

#: The key for "any sender" in ``Signal._by_sender``.
ANY_ID: Final = 0


def make_id(obj: Any) -> Any:
    """Return blinker's identifier of a sender or receiver, for code that imports it.

    aldis itself does not use it, because an ``int`` sender may equal the ``id`` of an object.
    """
    if type(obj) is MethodType:
        return id(obj.__func__), id(obj.__self__)
    return obj if issubclass(type(obj), (str, int)) else id(obj)


if TYPE_CHECKING:
    _Dict = dict[Any, Any]
else:

    class _Dict(MutableMapping, dict):
        """A dict with the methods of ``MutableMapping``."""

        __slots__ = ()


class _Table(_Dict):
    """A dict whose contents are made from the connections at each look.

    It is an instance of ``dict``, because blinker's tables are, but the dict itself stays empty.
    Every method comes from this class or from ``MutableMapping``.
    """

    __slots__ = ("__weakref__", "_registry")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def _contents(self) -> dict[Any, Any]:
        raise NotImplementedError

    def __getitem__(self, key: Any) -> Any:
        return self._contents()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._contents()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of ``key``, or ``default`` if there is none."""
        return self._contents().get(key, default)

    def __iter__(self) -> Iterator[Any]:
        # Over a copy, so that the body of a loop may disconnect.
        return iter(list(self._contents()))

    def __reversed__(self) -> Any:
        return reversed(list(self._contents()))

    def __len__(self) -> int:
        return len(self._contents())

    def __bool__(self) -> bool:
        return len(self) > 0

    def values(self) -> Any:
        """Return the values of this moment. Later changes do not affect the result."""
        return self._contents().values()

    def items(self) -> Any:
        """Return the keys and values of this moment; see :meth:`values`."""
        return self._contents().items()

    def popitem(self) -> tuple[Any, Any]:
        """Remove and return the last key and its value."""
        for key in reversed(self):
            return key, self.pop(key)
        message = "popitem(): the table is empty"
        raise KeyError(message)

    def copy(self) -> dict[Any, Any]:
        """Return the contents of this moment as a dict."""
        return self._contents()

    def __or__(self, other: Any) -> Any:
        return self.copy() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return other | self.copy() if isinstance(other, dict) else NotImplemented

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    __ne__: Any = object.__ne__
    fromkeys: Any = dict.fromkeys  # of a table, a plain dict

    def __copy__(self) -> dict[Any, Any]:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return self.copy()

    def __reduce__(self) -> Any:
        return dict, (dict(self._contents()),)

    def __repr__(self) -> str:
        return repr(dict(self._contents()))


class SavedReceivers(dict[Any, Any]):
    """A copy of ``signal.receivers``. It remembers the senders and the order of the connections."""

    __slots__ = ("connections",)

    connections: dict[Any, tuple[SavedConnection, ...]]


class ReceiversTable(_Table):
    """A live dict from the identifiers of receivers to weak references or the receivers.

    Only living receivers count. The table is false if there is none. If you remove a key, the
    receiver is disconnected from all senders. If you put the value back, it is connected for these
    senders again. A receiver that the table did not have before is connected for any sender.

    Args:
        registry: The connections.
        before: The table that this one replaces.
    """

    __slots__ = ("before",)

    def __init__(self, registry: Registry, before: ReceiversTable | None = None) -> None:
        super().__init__(registry)
        self.before: ReceiversTable | None = before

    def belongs_to(self, signal: Any) -> bool:
        """Return whether this is, or was, the table of ``signal``."""
        return self._registry.signal_ref() is signal

    @property
    def registry(self) -> Registry:
        """The connections that the table shows."""
        return self._registry

    def _contents(self) -> dict[Any, Any]:
        # One pass over the records: a receiver may die between a look-up of its key and of itself.
        registry = self._registry
        return {record.key: registry.held(record) for record in registry.records()}

    def __getitem__(self, key: Any) -> Any:
        self._registry.sweep()
        return self._registry.held(self._registry.receivers[key])

    def __contains__(self, key: object) -> bool:
        self._registry.sweep()
        return key in self._registry.receivers

    def __len__(self) -> int:
        return len(self._registry.records())

    def __setitem__(self, key: Any, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: Any) -> None:
        if not self._registry.remove(key):
            raise KeyError(key)

    def clear(self) -> None:
        """Disconnect every receiver."""
        for key in self:
            self._registry.remove(key)

    def copy(self) -> SavedReceivers:
        """Return a dict that :meth:`update` restores, with the senders of each receiver."""
        registry = self._registry
        records = registry.records()
        copied = SavedReceivers({record.key: registry.held(record) for record in records})
        copied.connections = {record.key: registry.saved(record) for record in records}
        return copied

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Connect receivers again that were removed, and connect new ones for any sender.

        Args:
            other: A mapping or pairs of identifiers and receivers, or weak references to receivers.
                A dead reference is ignored.
            **more: More of them.

        Raises:
            ReceiverError: A value is not callable.
            ValueError: A key is not the identifier of its receiver.
        """
        known = other.connections if isinstance(other, SavedReceivers) else {}
        wanted: list[tuple[int, Any, Any, bool, object]] = []
        for key, value in {**dict(other), **more}.items():
            weak = isinstance(value, ref)
            receiver = value() if weak else value
            if receiver is not None:
                wanted += self._wanted(key, receiver, weak, known.get(key))
        for _, receiver, sender, weak, owner in sorted(wanted, key=lambda each: each[0]):
            self._registry.connect(receiver, sender, weak, owner)

    def _wanted(
        self, key: Any, receiver: Any, weak: bool, saved: tuple[SavedConnection, ...] | None
    ) -> Iterator[tuple[int, Any, Any, bool, object]]:
        """Yield the connections to make: place in the order, receiver, sender, weak and owner."""
        check_receiver(receiver)
        if receiver_key(receiver) != key:
            message = (
                f"the key of {describe(receiver)} in signal.receivers is "
                f"{receiver_key(receiver)!r}, not {key!r}"
            )
            raise ValueError(message)
        connections = self._registry.to_restore(key, receiver, saved)
        was_weak = all(each.weak for each in connections)
        for each in connections:
            for owner, owned_weakly in each.owners:
                kept = owned_weakly if weak is was_weak else weak
                yield each.serial, receiver, sender_of(each.source), kept, owner

    def __repr__(self) -> str:
        return f"<receivers: {self._contents()!r}>"


class IndexTable(_Table):
    """A live dict from identifiers of senders to those of their receivers, or the other way round.

    Removing a key, or an identifier from a value, disconnects. Nothing can be added.

    Args:
        registry: The connections.
        set_class: The type of the values.
        by_sender: Whether the keys are senders.
    """

    __slots__ = ("_by_sender", "_set_class")

    def __init__(
        self, registry: Registry, set_class: Callable[[], Any], *, by_sender: bool
    ) -> None:
        super().__init__(registry)
        self._set_class = set_class
        self._by_sender = by_sender

    def _ids(self, link: Connection) -> tuple[Any, Any]:
        sender = link.sender()
        sender_id = ANY_ID if sender is ANY else make_id(sender)
        return (sender_id, link.receiver.key) if self._by_sender else (link.receiver.key, sender_id)

    def _contents(self) -> dict[Any, Any]:
        contents: dict[Any, Any] = {}
        for link in self._registry.all():
            key, value = self._ids(link)
            bucket = contents.get(key)
            if bucket is None:
                bucket = contents[key] = self._bucket(key)
            if type(bucket) is _Bucket:
                set.add(bucket, value)
            else:
                bucket.add(value)
        return contents

    def _bucket(self, key: Any) -> Any:
        if self._set_class is not set:
            return self._set_class()
        bucket = _Bucket()
        bucket.drop = lambda value: self.undo(key, value)
        return bucket

    def undo(self, key: Any, value: Any) -> None:
        """Disconnect the connection between ``key`` and ``value``."""
        for link in self._registry.all():
            if self._ids(link) == (key, value):
                self._registry.undo(link)

    def __getitem__(self, key: Any) -> Any:
        found = self._contents().get(key)
        return self._bucket(key) if found is None else found  # as a defaultdict

    def __setitem__(self, key: Any, value: Iterable[Any]) -> None:
        wanted, found = set(value), set(self[key])
        if wanted - found:
            _refuse()
        for each in found - wanted:
            self.undo(key, each)

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(key)
        self[key] = ()

    def clear(self) -> None:
        """Disconnect every receiver."""
        self._registry.clear()


class _Bucket(set[Any]):
    """The identifiers under one key of an :class:`IndexTable`."""

    __slots__ = ("drop",)

    drop: Callable[[Any], None]

    def add(self, value: Any) -> None:
        """Refuse: an identifier is not enough to connect a receiver."""
        if value not in self:
            _refuse()

    def update(self, *others: Iterable[Any]) -> None:
        """Refuse to add anything; see :meth:`add`."""
        for other in others:
            for each in other:
                self.add(each)

    def discard(self, value: Any) -> None:
        """Disconnect ``value`` if it is in the set."""
        if value in self:
            super().discard(value)
            self.drop(value)

    def remove(self, value: Any) -> None:
        """Disconnect ``value``."""
        super().remove(value)
        self.drop(value)

    def pop(self) -> Any:
        """Disconnect any identifier and return it."""
        value = super().pop()
        self.drop(value)
        return value

    def clear(self) -> None:
        """Disconnect all identifiers."""
        for each in list(self):
            self.discard(each)


def _refuse() -> NoReturn:
    message = (
        "a table of identifiers cannot connect a receiver; call signal.connect(receiver, sender)"
    )
    raise TypeError(message)
