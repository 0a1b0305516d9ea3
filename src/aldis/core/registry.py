"""The connections of one signal.

Any thread may connect, disconnect, send or drop its last reference at any time. The garbage
collector may run a ``__del__`` that does one of these in the middle of another, in the same thread.
Three rules make this safe:

- A weakref callback only appends to a deque. The next operation sweeps the deque.
- An operation does everything that can run foreign code (allocate, compare, call a weak reference)
  before it changes a table. It makes the change only if ``version`` is still the same. The change
  is a straight line of stores without a call or a loop, so the interpreter cannot switch.
- Objects that a change releases die after the lock is released. Until then a list keeps them alive.
"""

from __future__ import annotations

from _thread import RLock
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from types import FunctionType, MethodType
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias
from weakref import WeakMethod, ref

from aldis.core._native import Link, Routes, sender_key
from aldis.core.process import renew_lock_after_fork
from aldis.core.receiver import (
    PLAIN,
    ReceiverInfo,
    analyze,
    complete_info,
    function_info,
    receiver_key,
    referent_of,
    weakref_error,
)
from aldis.core.sender import ANY, SubclassesOf, describe_sender, is_subclass, mro_of

__all__ = [
    "CONNECT",
    "Connection",
    "ReceiverRecord",
    "Registry",
    "ResolvingRef",
    "SavedConnection",
    "UidOwner",
    "describe_source",
    "matches",
    "sender_of",
    "source_key",
]

#: The owner of each connection that ``connect`` made. Every other owner belongs to a subscription.
CONNECT: Final = "connect"


class UidOwner:
    """The owner of a connection that was made with a ``dispatch_uid``.

    Attributes:
        uid: The ``dispatch_uid``.
        replaced: The earlier receiver with this ``dispatch_uid``, until the change is complete.
    """

    __slots__ = ("replaced", "uid")

    def __init__(self, uid: str) -> None:
        self.uid: str = uid
        self.replaced: Replaced | None = None


class Replaced(NamedTuple):
    """A receiver that a newer one with the same ``dispatch_uid`` has replaced.

    Attributes:
        link: The connection. It may have other owners.
        receiver: The receiver.
        weak: Whether the owner held it weakly.
        owner: The owner.
    """

    link: Connection
    receiver: Any
    weak: bool
    owner: UidOwner


#: The owners of a connection, each with whether it holds the receiver weakly.
Owners = tuple[tuple[object, bool], ...]

#: The owners of most connections: strong and weak.
_BY_CONNECT: Final[tuple[Owners, Owners]] = (((CONNECT, False),), ((CONNECT, True),))


#: Removed connections of so many receivers are kept before dead ones are looked for.
_FEW_REMOVED: Final = 16


def _disconnected(*_: object) -> None:
    return None


#: Replaces the references of a connection that was undone. It returns no receiver.
DISCONNECTED: Final[Callable[..., None]] = _disconnected


class ResolvingRef(ref[Any]):
    """A weak reference to the object of a receiver. A call returns the receiver."""

    __slots__ = ("resolver",)
    resolver: Any

    __eq__: Any = object.__eq__  # the object may not be comparable and hashable
    __hash__: Any = object.__hash__

    def __call__(self) -> Any:
        """Return the receiver, or ``None`` if it is dead."""
        referent = super().__call__()
        pair = None if referent is None else self.resolver(referent)
        return None if pair is None else pair[0]


class ReceiverRecord(ref[Any]):
    """One receiver and its connections to the signal, as a weak reference to the referent.

    The record is in :attr:`Registry.receivers` exactly as long as it has connections. Records must
    not be compared or hashed, because a weak reference compares and hashes its object.

    Attributes:
        key: The key of the receiver.
        info: The facts about the receiver.
        links: Its connections, by the keys of the senders; see :data:`Links`.
    """

    __slots__ = ("info", "key", "links")

    key: object
    info: ReceiverInfo
    links: Links

    #: Whether the record does not keep the referent alive.
    is_weak: ClassVar[bool] = True


class HeldReceiver:
    """The record of a receiver that allows no weak reference. It holds the referent."""

    __slots__ = ("info", "key", "links", "referent")

    key: object
    info: ReceiverInfo
    links: Links

    is_weak: ClassVar[bool] = False

    def __init__(self, referent: Any) -> None:
        self.referent: Any = referent

    def __call__(self) -> Any:
        return self.referent


class FunctionRef(ref[Any]):
    """A weak reference to the function of a bound method."""

    __slots__ = ("key",)
    key: object


class SenderRecord(ref[Any]):
    """One sender and the connections for it, as a weak reference to the sender.

    Attributes:
        key: The key of the sender.
        links: Its connections, by the keys of the receivers; see :data:`Links`.
        plan: The plan of a send from it, or ``None``.
    """

    __slots__ = ("key", "links", "plan")

    key: object
    links: Links
    plan: Plan | None

    is_weak: ClassVar[bool] = True


class ClassRecord(SenderRecord):
    """The record of a class as sender that stands for its subclasses, too.

    Its key is a tuple of the ``id`` of the class and ``None``, so it differs from the key of the
    class alone.
    """

    __slots__ = ()


class HeldSender:
    """The record of a sender that allows no weak reference, or counts by its value."""

    __slots__ = ("key", "links", "plan", "sender")

    key: object
    links: Links
    plan: Plan | None

    is_weak: ClassVar[bool] = False

    def __init__(self, key: object, sender: Any) -> None:
        self.key = key
        self.sender: Any = sender
        self.links = None
        self.plan = None

    def __call__(self) -> Any:
        return self.sender


class Connection(Link):
    """A link of the call loop, with what the registry needs to know.

    After it is undone, it resolves to ``None``, so a send that has already begun skips it.
    """

    __slots__ = ()

    receiver: ReceiverRecord | HeldReceiver
    sender: SenderRecord | HeldSender
    owners: Owners

    @property
    def live(self) -> bool:
        """Whether the connection was not undone. Its receiver may be dead."""
        return self.ref is not DISCONNECTED

    @property
    def weak(self) -> bool:
        """Whether every owner holds the receiver weakly."""
        return self.keep is None

    def owned_weakly(self, owner: object) -> bool | None:
        """Return whether ``owner`` holds the receiver weakly; ``None`` if it is not an owner."""
        for each, weak in self.owners:
            if each is owner:
                return weak
        return None

    def owners_with(self, owner: object, weak: bool | None) -> Owners:
        """Return the owners after ``owner`` was added as ``weak`` says; ``None`` removes it."""
        others = tuple([each for each in self.owners if each[0] is not owner])
        return others if weak is None else (*others, (owner, weak))


#: The connections of one record. Most records have a single one, and a dict would take more memory
#: than all the rest of the connection.
Links: TypeAlias = dict[object, Connection] | Connection | None


def _any_strong(owners: Owners) -> bool:
    return not all([weak for _, weak in owners])  # noqa: C419 - a list is faster than a generator


class SavedConnection(NamedTuple):
    """A connection that was removed and can be made again.

    Attributes:
        lookup: Returns the referent of the receiver, or ``None`` if it is dead.
        source: The record of the sender.
        owners: The owners of the connection.
        serial: Its number in connection order.
    """

    lookup: Callable[[], Any]
    source: SenderRecord | HeldSender
    owners: Owners
    serial: int

    @property
    def weak(self) -> bool:
        """Whether every owner held the receiver weakly."""
        return not _any_strong(self.owners)

    @property
    def has_sender(self) -> bool:
        """Whether the sender is alive."""
        return not self.source.is_weak or self.source() is not None


#: The weak reference of an object that has died.
DeadRef: TypeAlias = ReceiverRecord | SenderRecord | FunctionRef


class Plan:
    """The connections that one send walks, in connection order.

    Attributes:
        links: The connections.
        base: The plan for any sender that this plan of one sender was merged with, or ``None``.
        plain: Whether the call loop can walk the links without the slow path.
        direct: Whether ``asend`` can walk the links without the slow path.
    """

    __slots__ = ("base", "direct", "links", "plain")

    def __init__(
        self, links: tuple[Connection, ...], base: Plan | None, *, plain: bool, direct: bool
    ) -> None:
        self.links: tuple[Connection, ...] = links
        self.base: Plan | None = base
        self.plain: bool = plain
        self.direct: bool = direct


class Registry:
    """The connections of one signal.

    Args:
        signal_ref: A weak reference to the signal, for receivers with a delivery mode.
    """

    lock: RLock
    """The lock under which the tables change."""

    def __init__(self, signal_ref: ref[Any]) -> None:
        self.receivers: dict[object, ReceiverRecord | HeldReceiver] = {}
        self.everyone: HeldSender = HeldSender(ANY, ANY)
        self.everyone.links = {}
        self.signal_ref = signal_ref
        self.version: int = 0
        self.serial: int = 0
        self.dead: deque[DeadRef] = deque()
        self._queue_dead = self.dead.append
        self.routes: Routes = Routes(self.dead)
        self.senders: dict[object, SenderRecord | HeldSender] = self.routes.senders
        #: The classes that stand for their subclasses, by their ids. While there is one, every send
        #: takes the slow path.
        self.bases: dict[int, ClassRecord] = {}
        #: The connections with a ``dispatch_uid``, by the uid and the key of the sender.
        self.uids: dict[tuple[str, object], tuple[UidOwner, Connection]] = {}
        self.publishing: bool = True
        #: The warnings for weak receivers that die before their first call, in strict mode.
        self.loss_messages: dict[Connection, str] = {}
        self.lost: list[str] = []
        #: The connections that were removed by their keys, and may be put back.
        self.removed: dict[object, tuple[SavedConnection, ...]] = {}
        self._most_removed: int = _FEW_REMOVED
        renew_lock_after_fork(self)

    def __del__(self) -> None:
        # Records, connections and plans refer to each other. Without this, the objects that they
        # hold would stay alive until the garbage collector runs.
        tables = vars(self)  # an interrupted __init__ leaves some of them out
        for record in list(tables.get("receivers", {}).values()):
            record.links = None
        for source in (tables.get("everyone"), *tables.get("senders", {}).values()):
            if source is not None:
                source.links = source.plan = None

    # -- changing ------------------------------------------------------------------------------

    def connect(
        self,
        receiver: Any,
        sender: Any,
        weak: bool,
        owner: object,
    ) -> tuple[Connection, bool | None]:
        """Make ``owner`` an owner of the connection of ``receiver`` for ``sender``.

        Args:
            receiver: The receiver.
            sender: The sender; it is not a proxy.
            weak: Whether ``owner`` holds the receiver weakly.
            owner: :data:`CONNECT`, or the object that stands for a subscription. A
                :class:`UidOwner` replaces the earlier connection with its uid for this sender.

        Returns:
            The connection, and whether ``owner`` held the receiver weakly before; ``None`` if it
            was not an owner.

        Raises:
            ReceiverError: ``weak`` is true and the receiver allows no weak reference.
        """
        key = id(receiver) if type(receiver) is FunctionType else receiver_key(receiver)
        spare: Any = None
        keep_alive: list[object] = []
        while True:
            if self.dead:
                self.sweep()
            if spare is None and key not in self.receivers:
                # Outside the lock, because a ``__bind_signal__`` may connect, or wait for another
                # thread that does.
                spare = self._new_receiver(key, receiver)
            with self.lock:
                version = self.version
                record: Any = self.receivers.get(key, spare)
                if record is None:  # another thread disconnected it since it was looked up
                    continue
                weakly = weak and not record.info.strong
                if weakly and not record.is_weak:
                    raise weakref_error(receiver)
                source = self.everyone if sender is ANY else self._source(sender)
                # A new source has no links.
                link: Any = source.links and _find(record.links, source)
                before, is_new = None, not link
                if is_new:
                    owners = _BY_CONNECT[weakly] if owner is CONNECT else ((owner, weakly),)
                    keep = None if weakly else receiver
                    link = Connection(record, record.info.resolver, record, source, keep, owners)
                    plan = source.plan
                    keep_alive.append(plan)
                    changed = self._add(link, record, source, version)
                else:
                    before = link.owned_weakly(owner)
                    owners = link.owners_with(owner, weakly)
                    keep_alive.append(link.keep)
                    changed = self._set_owners(link, owners, receiver, version)
                if not changed:
                    continue
                if type(owner) is UidOwner:
                    self._replace(link, owner, keep_alive, is_new=is_new)
                return link, before

    def _add(self, link: Connection, record: Any, source: Any, version: int) -> bool:
        """Add a new connection to the tables; return False if they changed since ``version``."""
        key, sender_key, plan = record.key, source.key, source.plan
        of_receiver, of_sender = record.links, source.links
        # A second connection needs a dict. It is made before the change, and has the first one.
        if of_receiver is not None and type(of_receiver) is not dict:
            of_receiver = {of_receiver.sender.key: of_receiver}
        if of_sender is not None and type(of_sender) is not dict:
            of_sender = {of_sender.receiver.key: of_sender}
        if self.version != version:
            return False
        # Only stores from here on.
        self.version += 1
        self.serial = link.serial = self.serial + 1
        if of_receiver is None:
            record.links = link
            self.receivers[key] = record
        else:
            of_receiver[sender_key] = link
            record.links = of_receiver
        if of_sender is None:
            source.links = link
        else:
            of_sender[key] = link
            source.links = of_sender
        source.plan = None
        if source is self.everyone:
            self.routes.everyone = None
            return True
        self.senders[sender_key] = source
        if type(source) is ClassRecord:
            self.bases[sender_key[0]] = source
            self.routes.everyone = None
        if plan is not None:
            self.routes.withdraw(sender_key)
        return True

    def _replace(
        self, link: Connection, owner: UidOwner, keep_alive: list[object], *, is_new: bool
    ) -> None:
        """Undo the earlier connection with the uid of ``owner``. A new ``link`` takes its place."""
        key = owner.uid, link.sender.key
        other, earlier = self.uids.get(key, (owner, link))
        weak = earlier.owned_weakly(other)
        pair = None if other is owner or weak is None else earlier.resolve()
        if pair is not None and weak is not None:
            # First: after an interrupt, the caller restores it.
            owner.replaced = Replaced(earlier, pair[0], weak, other)
        self.uids[key] = owner, link
        if other is owner or weak is None:
            return
        if is_new and len(earlier.owners) == 1:
            link.serial = earlier.serial
        self._disown(earlier, other, keep_alive)

    def _forget_uids(self, link: Connection, owners: Owners) -> None:
        """Forget the uids under which ``owners`` have connected ``link``."""
        for owner, _ in owners:
            if type(owner) is UidOwner:
                key = owner.uid, link.sender.key
                if self.uids.get(key, (None,))[0] is owner:
                    del self.uids[key]

    def _set_owners(self, link: Connection, owners: Owners, receiver: Any, version: int) -> bool:
        """Set the owners of ``link``; return False if the tables changed since ``version``."""
        keep = receiver if _any_strong(owners) else None
        if self.version != version:
            return False
        # Only stores from here on.
        self.version += 1
        link.owners = owners
        link.keep = keep
        return True

    def disown(self, link: Connection, owner: object) -> bool:
        """Remove ``owner`` from ``link``; undo the connection if it was the last owner.

        Returns:
            Whether this undid the connection.
        """
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            return self._disown(link, owner, keep_alive)

    def _disown(self, link: Connection, owner: object, keep_alive: list[object]) -> bool:
        while True:
            version = self.version
            if not link.live or self.receivers.get(link.receiver.key) is not link.receiver:
                return False
            before = link.owners
            owners = link.owners_with(owner, None)
            keep = link.keep
            keep_alive.append(keep)
            if self._set_owners(link, owners, keep, version):
                break
        if self.uids:
            self._forget_uids(link, tuple([each for each in before if each[0] is owner]))
        if owners:
            return False
        self._drop(link, keep_alive)
        return True

    def disconnect(self, receiver: Any, sender: Any) -> bool:
        """Undo the connection of ``receiver`` for ``sender``; with ``ANY``, all its connections.

        Returns:
            Whether there was a connection.
        """
        key = id(receiver) if type(receiver) is FunctionType else receiver_key(receiver)
        keep_alive: list[object] = []
        with self.lock:
            if self.dead:
                self._sweep(keep_alive)
            if self.removed:
                self._forget_removed(key, sender)
            record = self.receivers.get(key)
            if record is None:
                return False
            if sender is ANY:
                links = self._links_of(record)
                for link in links:
                    self._drop(link, keep_alive)
                return bool(links)
            source = self.senders.get(sender_key(sender))
            only = None if source is None else _find(record.links, source)
            if only is not None:
                self._drop(only, keep_alive)
            base = self.bases.get(id(sender)) if self.bases else None
            other = None if base is None else _find(record.links, base)
            if other is not None:
                self._drop(other, keep_alive)
            return only is not None or other is not None

    def disconnect_uid(self, uid: str, sender: Any) -> list[tuple[Any, Any]]:
        """Undo the connection with this ``dispatch_uid`` for ``sender``; with ``ANY``, all of them.

        Returns:
            The receiver and the sender of each connection that this undid.
        """
        keep_alive: list[object] = []
        undone = []
        keys = () if sender is ANY else (sender_key(sender), (id(sender), None))
        with self.lock:
            self._sweep(keep_alive)
            found = [
                each
                for (name, key), each in list(self.uids.items())
                if name == uid and (sender is ANY or key in keys)
            ]
            for owner, link in found:
                pair, source = link.resolve(), link.sender()
                if self._disown(link, owner, keep_alive) and pair is not None:
                    undone.append((pair[0], source))
        return undone

    def find(self, receiver: Any, sender: Any, owner: object) -> Connection | None:
        """Return the connection of ``receiver`` for ``sender`` if it has this owner."""
        key = sender if sender is ANY else source_key(sender)
        return self._owned(receiver_key(receiver), key, owner)

    def current(self, link: Connection, owner: object) -> Connection:
        """Return ``link``, or the connection that was made in its place if it was put back."""
        if link.live:
            return link
        return self._owned(link.receiver.key, link.sender.key, owner) or link

    def _owned(self, receiver: object, sender: object, owner: object) -> Connection | None:
        record = self.receivers.get(receiver)
        source = self.everyone if sender is ANY else self.senders.get(sender)
        if record is None or source is None:
            return None
        link = _find(record.links, source)
        return None if link is None or link.owned_weakly(owner) is None else link

    def undo(self, link: Connection) -> None:
        """Undo ``link``, with any owner."""
        keep_alive: list[object] = []
        with self.lock:
            self._drop(link, keep_alive)

    def clear(self) -> None:
        """Undo every connection."""
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            for link in self.all():
                self._drop(link, keep_alive)
            keep_alive.append(self.removed)
            self.removed = {}

    # -- removing by key, and putting back -----------------------------------------------------

    def remove(self, key: object) -> bool:
        """Undo every connection of the receiver with this key, and remember them.

        Returns:
            Whether there was such a receiver.
        """
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            record = self.receivers.get(key)
            if record is None:
                return False
            saved = self.saved(record)
            kept = {each.source.key for each in saved}
            before = [
                each
                for each in self.removed.get(key, ())
                if each.has_sender and each.source.key not in kept
            ]
            self.removed[key] = (*before, *saved)
            for link in self._links_of(record):
                self._drop(link, keep_alive)
            self._forget_dead()
        return True

    def saved(self, record: ReceiverRecord | HeldReceiver) -> tuple[SavedConnection, ...]:
        """Return the connections of a receiver, for :meth:`to_restore`."""
        with self.lock:
            # A record lets its referent go when it is removed.
            lookup = record if record.is_weak else partial(_same, record())
            return tuple(
                [
                    SavedConnection(lookup, link.sender, link.owners, link.serial)
                    for link in self._links_of(record)
                ]
            )

    def to_restore(
        self, key: object, receiver: Any, saved: tuple[SavedConnection, ...] | None
    ) -> tuple[SavedConnection, ...]:
        """Return the connections to make if ``receiver`` is put back under ``key``.

        Args:
            key: The key of the receiver.
            receiver: The receiver.
            saved: Its connections, if they are known. Otherwise, they are those that were removed.
        """
        with self.lock:
            removed = self.removed.pop(key, ())
            gone = tuple([each for each in removed if not each.has_sender])[:1]
            if gone:  # so that the receiver does not count as new the next time
                self.removed[key] = gone
            record = self.receivers.get(key)
            present = () if record is None else self.saved(record)
        referent = referent_of(receiver)
        # An object with the address of a dead one is not the receiver that was removed.
        found = [each for each in (saved or removed) if each.lookup() is referent]
        if not found and not present:
            lookup = partial(_same, referent)
            return (SavedConnection(lookup, self.everyone, _BY_CONNECT[1], self.serial),)
        senders = {each.source.key for each in found}
        both = (*found, *[each for each in present if each.source.key not in senders])
        return tuple([each for each in both if each.has_sender])

    def successor(self) -> Registry:
        """Return an empty registry of the signal. Receivers of this one can be put back there."""
        made = Registry(self.signal_ref)
        for record in self.records():
            made.removed[record.key] = self.saved(record)
        for key, saved in list(self.removed.items()):
            made.removed.setdefault(key, saved)
        made._forget_dead()
        return made

    def _forget_removed(self, key: object, sender: Any) -> None:
        """Forget a removed connection that is also disconnected."""
        saved = self.removed.pop(key, ())
        if sender is not ANY:
            sender = sender_key(sender)
            kept = tuple([each for each in saved if each.source.key != sender])
            if kept:
                self.removed[key] = kept

    def _forget_dead(self) -> None:
        if len(self.removed) < self._most_removed:
            return
        alive = {
            key: tuple([each for each in saved if each.has_sender]) or saved[:1]
            for key, saved in list(self.removed.items())
            if saved[0].lookup() is not None
        }
        self.removed = alive
        self._most_removed = max(_FEW_REMOVED, 2 * len(alive))

    # -- removing what has died ----------------------------------------------------------------

    def sweep(self) -> None:
        """Remove dead receivers and senders, and the objects that die because of that."""
        while self.dead:
            keep_alive: list[object] = []
            with self.lock:
                self._sweep(keep_alive)
            del keep_alive  # receivers that only the connections of a dead sender kept alive

    def _sweep(self, keep_alive: list[object]) -> None:
        dead = self.dead
        while True:
            try:
                dead_ref = dead[0]
            except IndexError:  # the garbage collector may sweep between a test and this look-up
                return
            for link in self._links_of_dead(dead_ref):
                if self.loss_messages and type(dead_ref) is ReceiverRecord:
                    message = self.loss_messages.get(link)
                    if message is not None:
                        self.lost.append(message)
                self._drop(link, keep_alive)
            # Removed only now: while it is queued, no send uses the id of the dead object, which
            # may belong to another object already.
            if dead and dead[0] is dead_ref:
                dead.popleft()

    def _links_of_dead(self, dead_ref: DeadRef) -> tuple[Connection, ...]:
        if type(dead_ref) is not FunctionRef:
            # The record has no links any more if it belongs to an earlier object of its key.
            return self._links_of(dead_ref)
        record = self.receivers.get(dead_ref.key)
        if record is None or record.info.function_ref is not dead_ref:
            return ()
        return self._links_of(record)

    def _drop(self, link: Connection, keep_alive: list[object]) -> None:
        """Remove ``link`` from every table. A second call does nothing."""
        record: Any = link.receiver
        source: Any = link.sender
        if self.loss_messages:
            self.loss_messages.pop(link, None)
        while True:
            version = self.version
            plan, owners = source.plan, link.owners
            if not (plan is link.keep is link.resolver is None):
                keep_alive += (plan, link.keep, link.resolver, record.info)
            if type(record) is not ReceiverRecord or type(source) is not SenderRecord:
                keep_alive += (record(), source())
            if link.ref is DISCONNECTED or self._remove(link, record, source, version):
                break
        if self.uids:
            self._forget_uids(link, owners)
        if type(record) is HeldReceiver and not record.links:
            record.referent = None
        if not self.receivers:
            self._shrink()

    def _remove(self, link: Connection, record: Any, source: Any, version: int) -> bool:
        """Remove a connection from the tables; return False if they changed since ``version``.

        The caller keeps alive what this releases.
        """
        if self.version != version:  # a signal handler may run when this function begins
            return False
        key, sender_key, plan = record.key, source.key, source.plan
        # Only stores from here on.
        self.version += 1
        link.owners = ()
        link.keep = None
        link.ref = DISCONNECTED
        link.resolver = DISCONNECTED
        if record.links is link:
            record.links = None
        else:
            del record.links[sender_key]
        if source.links is link:
            source.links = None
        else:
            del source.links[key]
        if not record.links:
            del self.receivers[key]
            # Plans of other senders may refer to the link for some time. They must not keep the
            # receiver alive.
            record.info = PLAIN
        source.plan = None
        if source is self.everyone:
            self.routes.everyone = None
            return True
        if not source.links:
            del self.senders[sender_key]
            if type(source) is ClassRecord:
                del self.bases[sender_key[0]]
        if plan is not None:
            self.routes.withdraw(sender_key)
        return True

    def _shrink(self) -> None:
        # An emptied dict keeps its memory: 5 MB after 100,000 entries. Only clear() releases it.
        everyone: Any = self.everyone.links
        for table in (self.receivers, self.senders, everyone):
            if not table:  # the garbage collector may have connected a receiver in between
                table.clear()

    def _new_receiver(self, key: object, receiver: Any) -> ReceiverRecord | HeldReceiver:
        """Return a record of ``receiver`` that is not in the table yet."""
        if type(receiver) is FunctionType:
            referent, info = receiver, function_info(receiver)
        else:
            referent = referent_of(receiver)
            info = analyze(receiver, self.signal_ref(), partial(self._watch_function, key))
        record: ReceiverRecord | HeldReceiver
        try:
            record = ReceiverRecord(referent, self._queue_dead)
        except TypeError:  # its type allows no weak references
            record = HeldReceiver(referent)
        record.key = key
        record.info = info
        record.links = None
        return record

    def _watch_function(self, key: object, function: Any) -> FunctionRef | None:
        try:
            made = FunctionRef(function, self._queue_dead)
        except TypeError:  # its type allows no weak references
            return None
        made.key = key
        return made

    def _source(self, sender: Any) -> SenderRecord | HeldSender:
        """Return the record of ``sender``. A new record is not in the table yet."""
        if type(sender) is SubclassesOf:
            return self._base(sender)
        key = sender_key(sender)
        known = self.senders.get(key)
        if known is not None:
            return known
        if type(key) is int:
            try:
                record = SenderRecord(sender, self._queue_dead)
            except TypeError:
                pass  # the record holds the sender, so that no other object gets its id
            else:
                record.key = key
                record.links = record.plan = None
                return record
        return HeldSender(key, sender)

    def _base(self, sender: SubclassesOf) -> ClassRecord:
        known = self.bases.get(id(sender.sender))
        if known is not None:
            return known
        made = ClassRecord(sender.sender, self._queue_dead)
        made.key = source_key(sender)
        made.links = made.plan = None
        return made

    # -- planning ------------------------------------------------------------------------------

    def links_for(self, sender: Any) -> tuple[Connection, ...]:
        """Return the connections that a send from ``sender`` walks, in connection order."""
        plan = self.everyone.plan
        if plan is not None and not (plan.plain or self.senders or self.dead):
            return plan.links  # it needs no lock, because it is not published
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            everyone = self._plan_everyone()
            record = self.senders.get(sender_key(sender))
            if self.bases:
                return self._links_by_class(sender, record, everyone)
            if record is None:
                return everyone.links
            plan = record.plan
            if plan is None or plan.base is not everyone:
                plan = self._plan_merged(record, everyone)
            if self.publishing and plan.plain and record.links:
                self.routes.publish(record.key, everyone.links, plan.links)
            return plan.links

    def direct_links(self, sender: Any) -> tuple[Connection, ...] | None:
        """Return the connections that ``asend`` walks without the slow path, if it can."""
        plan = everyone = self.everyone.plan
        if plan is None or self.dead or self.bases or not self.publishing:
            return None
        if self.senders:
            record = self.senders.get(sender_key(sender))
            if record is not None:
                plan = record.plan
                if plan is None or plan.base is not everyone:
                    return None
        return plan.links if plan.direct else None

    def _plan_everyone(self) -> Plan:
        plan = self.everyone.plan
        while plan is None:
            version = self.version
            # A connection with a dispatch_uid has the place of the one that it replaced.
            links = tuple(sorted(self._links_of(self.everyone), key=_serial))
            direct = _direct(links)
            made = Plan(links, None, plain=direct and _sync(links), direct=direct)
            if self.version == version:
                self.everyone.plan = plan = made
        if self.publishing and plan.plain and not self.bases:
            self.routes.everyone = plan.links
        return plan

    def _links_by_class(
        self, sender: Any, record: SenderRecord | HeldSender | None, everyone: Plan
    ) -> tuple[Connection, ...]:
        """Return the connections for ``sender``, with those for its bases if it is a class.

        Nothing keeps the result, because an assignment to ``__bases__`` changes it.
        """
        own = () if record is None else self._links_of(record)
        bases = [self.bases.get(id(each)) for each in mro_of(sender)]
        inherited = [link for base in bases if base for link in self._links_of(base)]
        _direct((*own, *inherited))  # it completes the facts about the receivers
        return tuple(sorted((*everyone.links, *own, *inherited), key=_serial))

    def _plan_merged(self, record: SenderRecord | HeldSender, everyone: Plan) -> Plan:
        while True:
            version = self.version
            own = self._links_of(record)
            links = tuple(sorted((*everyone.links, *own), key=_serial))
            doubled = len({id(link.receiver) for link in links}) < len(links)
            direct = everyone.direct and not doubled and _direct(own)
            plain = direct and everyone.plain and _sync(own)
            plan = Plan(links, everyone, plain=plain, direct=direct)
            if self.version == version:
                break
        record.plan = plan
        return plan

    def publish(self, *, allowed: bool) -> None:
        """Let the call loop walk plain links itself, or send everything through the slow path."""
        with self.lock:
            self.publishing = allowed
            self.routes.everyone = None

    # -- looking -------------------------------------------------------------------------------

    def all(self) -> tuple[Connection, ...]:
        """Return every living connection, in connection order."""
        self.sweep()
        with self.lock:
            links = [
                link for record in self._snapshot(self.receivers) for link in self._links_of(record)
            ]
        return tuple(sorted(links, key=_serial))

    def records(self) -> tuple[ReceiverRecord | HeldReceiver, ...]:
        """Return the record of every living receiver."""
        self.sweep()
        with self.lock:
            return self._snapshot(self.receivers)

    def held(self, record: ReceiverRecord | HeldReceiver) -> Any:
        """Return the receiver if a connection holds it strongly, otherwise a weak reference.

        A call of the reference returns the receiver.
        """
        for link in self._links_of(record):
            if link.keep is not None:
                return link.keep
        referent, info = record(), record.info
        pair = None if referent is None or info.resolver is None else info.resolver(referent)
        if pair is None or pair[0] is referent:
            return record
        if type(pair[0]) is MethodType and info.function_ref is not None:
            return WeakMethod(pair[0])
        made = ResolvingRef(referent)
        made.resolver = info.resolver
        return made

    def _links_of(self, record: Any) -> tuple[Connection, ...]:
        """Return the connections of a record."""
        links = record.links
        if links is None:
            return ()
        return self._snapshot(links) if type(links) is dict else (links,)

    def _snapshot(self, table: dict[object, Any]) -> tuple[Any, ...]:
        """Copy the values, although the garbage collector may change the table meanwhile."""
        while True:
            version = self.version
            try:
                values = tuple(table.values())
            except RuntimeError:
                if self.version == version:
                    raise
                continue
            if self.version == version:
                return values


def _same(referent: Any) -> Any:
    return referent


_serial = attrgetter("serial")


def source_key(sender: Any) -> object:
    """Return the key of the record of a sender in a call of :meth:`Registry.connect`."""
    return (id(sender.sender), None) if type(sender) is SubclassesOf else sender_key(sender)


def sender_of(source: SenderRecord | HeldSender) -> Any:
    """Return the sender with which :meth:`Registry.connect` finds ``source``; ``None`` if dead."""
    sender = source()
    return SubclassesOf(sender) if type(source) is ClassRecord and sender is not None else sender


def describe_source(source: SenderRecord | HeldSender) -> str:
    """Return a short text for the sender of a connection."""
    text = describe_sender(source())
    return f"{text} and its subclasses" if type(source) is ClassRecord else text


def matches(source: SenderRecord | HeldSender, sender: Any) -> bool:
    """Tell whether a send from ``sender`` reaches the connections of ``source``."""
    if source.key is ANY:
        return True
    if type(source) is ClassRecord:
        return is_subclass(sender, source())
    return source.key == sender_key(sender)


def _find(links: Any, source: SenderRecord | HeldSender) -> Connection | None:
    """Return the connection for the sender of ``source`` among those of a receiver."""
    found: Connection | None = links
    if type(links) is dict:
        found = links.get(source.key)
    elif links is not None and links.sender is not source:
        found = None
    return found


def _complete(record: ReceiverRecord | HeldReceiver) -> ReceiverInfo:
    info = record.info
    complete = complete_info(info, record())
    if complete is not info:
        record.info = complete
    return complete


def _direct(links: Iterable[Connection]) -> bool:
    """Return whether a send needs only the callables: no id of the send, and no other send.

    This completes the facts about the receivers.
    """
    infos = [_complete(link.receiver) for link in links]
    return not any(each.relays or each.needs_send_id or each.needs_signal for each in infos)


def _sync(links: Iterable[Connection]) -> bool:
    return not any(link.receiver.info.is_async for link in links)
