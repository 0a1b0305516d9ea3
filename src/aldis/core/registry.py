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
from typing import Any, Final
from weakref import ref

from aldis.core._native import Link, Routes
from aldis.core.process import renew_lock_after_fork
from aldis.core.receiver import (
    PLAIN,
    ReceiverInfo,
    analyze,
    receiver_key,
    referent_of,
    weakref_error,
)
from aldis.core.sender import ANY, sender_key

__all__ = ["CONNECT", "Connection", "Registry"]

#: The owner of each connection that ``connect`` made. Every other owner belongs to a subscription.
CONNECT: Final = "connect"

#: The owners of a connection, each with whether it holds the receiver weakly.
Owners = tuple[tuple[object, bool], ...]

#: The owners of most connections: strong and weak.
_BY_CONNECT: Final[tuple[Owners, Owners]] = (((CONNECT, False),), ((CONNECT, True),))


def _disconnected(*_: object) -> None:
    return None


#: Replaces the references of a connection that was undone. It returns no receiver.
DISCONNECTED: Final[Callable[..., None]] = _disconnected


class WatchingRef(ref[Any]):
    """A weak reference that knows the key of its record."""

    __slots__ = ("key",)
    key: object


class ReceiverRef(WatchingRef):
    """A weak reference to a receiver, or to the object or the function of a method."""

    __slots__ = ()


class SenderRef(WatchingRef):
    """A weak reference to a sender."""

    __slots__ = ()


def _same(referent: Any) -> Any:
    return referent


class ReceiverRecord:
    """One receiver and its connections to the signal.

    The record is in :attr:`Registry.receivers` exactly as long as it has connections.
    """

    __slots__ = ("info", "is_async", "key", "links", "lookup", "needs_send_id", "ref", "relays")

    def __init__(
        self, key: object, referent: Any, referent_ref: ReceiverRef | None, info: ReceiverInfo
    ) -> None:
        self.key: object = key
        self.ref: ReceiverRef | None = referent_ref
        # Not the reference with the callback, because a plain one is faster to call. Without a
        # weak reference, all connections are strong, and this keeps the referent alive for them.
        self.lookup: Callable[[], Any] = (
            partial(_same, referent) if referent_ref is None else ref(referent)
        )
        self.info: ReceiverInfo = info
        self.is_async: bool = info.is_async
        self.relays: bool = info.relays
        self.needs_send_id: bool = info.needs_send_id
        self.links: dict[object, Connection] = {}

    def held(self) -> Any:
        """Return the receiver if a connection holds it strongly, otherwise a weak reference."""
        # The collector cannot interrupt the making of a list, but it can interrupt a generator.
        for link in list(self.links.values()):
            if link.keep is not None:
                return link.keep
        return self.ref

    def owns(self, dead_ref: WatchingRef) -> bool:
        """Return whether ``dead_ref`` belongs to this record, not to an earlier one of its key."""
        return dead_ref is self.ref or dead_ref is self.info.function_ref


class SenderRecord:
    """One sender and the connections for it."""

    __slots__ = ("held", "key", "links", "plan", "ref")

    def __init__(self, key: object, sender: Any, sender_ref: SenderRef | None) -> None:
        self.key: object = key
        self.ref: SenderRef | None = sender_ref
        self.held: Any | None = sender if sender_ref is None else None
        self.links: dict[object, Connection] = {}
        self.plan: Plan | None = None

    def get(self) -> Any:
        """Return the sender, or ``None`` if it is dead."""
        return self.held if self.ref is None else self.ref()


class Connection(Link):
    """A link of the call loop, with the facts that the registry needs.

    After it is undone, it resolves to ``None``, so a send that has already begun skips it.

    Attributes:
        receiver: The record of the receiver.
        sender: The record of the sender.
        keep: The receiver, if an owner holds it strongly.
        owners: The owners of the connection.
        serial: The number of the connection, in connection order.
        loss_message: The warning for a weak receiver that dies before its first call, in strict
            mode.
    """

    __slots__ = ("keep", "loss_message", "owners", "receiver", "sender", "serial")

    keep: Any
    owners: Owners
    serial: int

    def __init__(
        self, receiver: ReceiverRecord, sender: SenderRecord, loss_message: str | None
    ) -> None:
        self.ref: Callable[[], Any] = receiver.lookup
        self.resolver: Callable[[Any], tuple[Any, Any] | None] | None = receiver.info.resolver
        self.receiver: ReceiverRecord = receiver
        self.sender: SenderRecord = sender
        self.loss_message: str | None = loss_message

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


def _any_strong(owners: Owners) -> bool:
    return not all([weak for _, weak in owners])  # noqa: C419 - a list is faster than a generator


class Plan:
    """The connections that one send walks, in connection order.

    Attributes:
        links: The connections.
        base: The plan for any sender that this plan of one sender was merged with, or ``None``.
        plain: Whether the call loop can walk the links without the slow path.
    """

    __slots__ = ("base", "links", "plain")

    def __init__(self, links: tuple[Connection, ...], base: Plan | None, *, plain: bool) -> None:
        self.links: tuple[Connection, ...] = links
        self.base: Plan | None = base
        self.plain: bool = plain


class Registry:
    """The connections of one signal.

    Args:
        signal_ref: A weak reference to the signal, for receivers with a delivery mode.
    """

    lock: RLock
    """The lock under which the tables change."""

    def __init__(self, signal_ref: ref[Any]) -> None:
        self.receivers: dict[object, ReceiverRecord] = {}
        self.senders: dict[object, SenderRecord] = {}
        self.everyone: SenderRecord = SenderRecord(ANY, ANY, None)
        self.signal_ref = signal_ref
        self.version: int = 0
        self.serial: int = 0
        self.dead: deque[WatchingRef] = deque()
        self._queue_dead = self.dead.append
        self.routes: Routes = Routes(self.dead)
        self.publishing: bool = True
        self.lost: list[str] = []
        renew_lock_after_fork(self)

    def __del__(self) -> None:
        # Records, connections and plans refer to each other. Without this, the objects that they
        # hold would stay alive until the garbage collector runs.
        tables = vars(self)  # an interrupted __init__ leaves some of them out
        for record in list(tables.get("receivers", {}).values()):
            record.links.clear()
        for source in (tables.get("everyone"), *tables.get("senders", {}).values()):
            if source is not None:
                source.links.clear()
                source.plan = None

    # -- changing ------------------------------------------------------------------------------

    def connect(
        self,
        receiver: Any,
        sender: Any,
        *,
        weak: bool,
        owner: object,
        loss_message: str | None = None,
    ) -> tuple[Connection, bool | None]:
        """Make ``owner`` an owner of the connection of ``receiver`` for ``sender``.

        Returns:
            The connection, and whether ``owner`` held the receiver weakly before; ``None`` if it
            was not an owner.

        Raises:
            ReceiverError: ``weak`` is true and the receiver allows no weak reference.
        """
        key = receiver_key(receiver)
        spare: ReceiverRecord | None = None
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
                record = self.receivers.get(key, spare)
                if record is None:  # another thread disconnected it since it was looked up
                    continue
                weakly = weak and not record.info.strong
                if weakly and record.ref is None:
                    raise weakref_error(receiver)
                source = self._sender_record(sender)
                link = record.links.get(source.key)
                if link is None:
                    link = Connection(record, source, loss_message)
                    link.owners = _BY_CONNECT[weakly] if owner is CONNECT else ((owner, weakly),)
                    link.keep = None if weakly else receiver
                    keep_alive.append(source.plan)
                    if self._add(link, version):
                        return link, None
                else:
                    before = link.owned_weakly(owner)
                    owners = link.owners_with(owner, weakly)
                    keep_alive.append(link.keep)
                    if self._set_owners(link, owners, receiver, version):
                        return link, before

    def _add(self, link: Connection, version: int) -> bool:
        """Add a new connection to the tables; return False if they changed since ``version``."""
        record, source = link.receiver, link.sender
        if self.version != version:
            return False
        # Only stores from here on.
        self.version += 1
        self.serial = link.serial = self.serial + 1
        record.links[source.key] = link
        source.links[record.key] = link
        self.receivers[record.key] = record
        source.plan = None
        if source is self.everyone:
            self.routes.everyone = None
        else:
            self.senders[source.key] = source
            self.routes.scoped[source.key] = None
        return True

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
            while True:
                version = self.version
                if not link.live:
                    return False
                owners = link.owners_with(owner, None)
                keep = link.keep
                keep_alive.append(keep)
                if self._set_owners(link, owners, keep, version):
                    break
            if owners:
                return False
            self._drop(link, keep_alive)
            return True

    def disconnect(self, receiver: Any, sender: Any) -> bool:
        """Undo the connection of ``receiver`` for ``sender``; with ``ANY``, all its connections.

        Returns:
            Whether there was a connection.
        """
        keep_alive: list[object] = []
        with self.lock:
            if self.dead:
                self._sweep(keep_alive)
            record = self.receivers.get(receiver_key(receiver))
            if record is None:
                return False
            if sender is ANY:
                links = self._snapshot(record.links)
            else:
                link = record.links.get(sender_key(sender))
                links = () if link is None else (link,)
            for link in links:
                self._drop(link, keep_alive)
        return bool(links)

    def find(self, receiver: Any, sender: Any, owner: object) -> Connection | None:
        """Return the connection of ``receiver`` for ``sender`` if it has this owner."""
        record = self.receivers.get(receiver_key(receiver))
        link = record and record.links.get(sender if sender is ANY else sender_key(sender))
        return link if link and link.owned_weakly(owner) is not None else None

    def clear(self) -> None:
        """Undo every connection."""
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            for link in self.all():
                self._drop(link, keep_alive)

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
            for link in self._links_of(dead_ref):
                if link.loss_message is not None and type(dead_ref) is ReceiverRef:
                    self.lost.append(link.loss_message)
                self._drop(link, keep_alive)
            # Removed only now: while it is queued, no send uses the id of the dead object, which
            # may belong to another object already.
            if dead and dead[0] is dead_ref:
                dead.popleft()

    def _links_of(self, dead_ref: WatchingRef) -> tuple[Connection, ...]:
        if type(dead_ref) is ReceiverRef:
            record = self.receivers.get(dead_ref.key)
            if record is None or not record.owns(dead_ref):
                return ()
            return self._snapshot(record.links)
        source = self.senders.get(dead_ref.key)
        if source is None or source.ref is not dead_ref:
            return ()
        return self._snapshot(source.links)

    def _drop(self, link: Connection, keep_alive: list[object]) -> None:
        """Remove ``link`` from every table. A second call does nothing."""
        record, source = link.receiver, link.sender
        while True:
            version = self.version
            keep_alive += (
                link.keep,
                link.resolver,
                record.lookup,
                record.info,
                record,
                source,
                source.plan,
            )
            if self.version == version:
                break
        if link.ref is DISCONNECTED:
            return
        # Only stores from here on. The list keeps alive the objects that they release.
        link.owners = ()
        link.keep = None
        link.ref = DISCONNECTED
        if link.resolver is not None:
            link.resolver = DISCONNECTED
        del record.links[source.key]
        del source.links[record.key]
        if not record.links:
            del self.receivers[record.key]
            # Plans of other senders may refer to the link for some time. They must not keep the
            # receiver alive.
            record.info = PLAIN
            record.lookup = DISCONNECTED
        self.version += 1
        source.plan = None
        if source is self.everyone:
            self.routes.everyone = None
        elif source.links:
            self.routes.scoped[source.key] = None
        else:
            del self.senders[source.key]
            del self.routes.scoped[source.key]
        if not self.receivers:
            self._shrink()

    def _shrink(self) -> None:
        # An emptied dict keeps its memory: 5 MB after 100,000 entries. Only clear() releases it.
        for table in (self.receivers, self.senders, self.routes.scoped, self.everyone.links):
            if not table:  # the garbage collector may have connected a receiver in between
                table.clear()

    def _new_receiver(self, key: object, receiver: Any) -> ReceiverRecord:
        """Return a record of ``receiver`` that is not in the table yet."""
        info = analyze(receiver, self.signal_ref(), partial(self._watch, key))
        referent = referent_of(receiver)
        return ReceiverRecord(key, referent, self._watch(key, referent), info)

    def _watch(self, key: object, referent: Any) -> ReceiverRef | None:
        try:
            made = ReceiverRef(referent, self._queue_dead)
        except TypeError:  # its type allows no weak references
            return None
        made.key = key
        return made

    def _sender_record(self, sender: Any) -> SenderRecord:
        """Return the record of ``sender``. A new record is not in the table yet."""
        if sender is ANY:
            return self.everyone
        key = sender_key(sender)
        record = self.senders.get(key)
        if record is not None:
            return record
        made = None
        if type(key) is int:
            try:
                made = SenderRef(sender, self._queue_dead)
                made.key = key
            except TypeError:
                pass  # the record holds the sender, so that no other object gets its id
        return SenderRecord(key, sender, made)

    # -- planning ------------------------------------------------------------------------------

    def links_for(self, sender: Any) -> tuple[Connection, ...]:
        """Return the connections that a send from ``sender`` walks, in connection order."""
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            everyone = self._plan_everyone()
            record = self.senders.get(sender_key(sender))
            if record is None:
                return everyone.links
            plan = record.plan
            if plan is None or plan.base is not everyone:
                plan = self._plan_merged(record, everyone)
            return plan.links

    def _plan_everyone(self) -> Plan:
        plan = self.everyone.plan
        while plan is None:
            version = self.version
            links = self._snapshot(self.everyone.links)
            made = Plan(links, None, plain=_plain(links))
            if self.version == version:
                self.everyone.plan = plan = made
        if self.publishing and plan.plain:
            self.routes.everyone = plan.links
        return plan

    def _plan_merged(self, record: SenderRecord, everyone: Plan) -> Plan:
        while True:
            version = self.version
            own = self._snapshot(record.links)
            links = tuple(sorted((*everyone.links, *own), key=_serial))
            doubled = len({id(link.receiver) for link in links}) < len(links)
            plain = everyone.plain and not doubled and _plain(own)
            plan = Plan(links, everyone, plain=plain)
            entry = (everyone.links, links) if plain else None
            if self.version == version:
                break
        record.plan = plan
        if self.publishing and record.links:
            self.routes.scoped[record.key] = entry
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
                link
                for record in self._snapshot(self.receivers)
                for link in self._snapshot(record.links)
            ]
        return tuple(sorted(links, key=_serial))

    def records(self) -> tuple[ReceiverRecord, ...]:
        """Return the record of every living receiver."""
        self.sweep()
        with self.lock:
            return self._snapshot(self.receivers)

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


_serial = attrgetter("serial")


def _plain(links: Iterable[Connection]) -> bool:
    records = [link.receiver for link in links]
    return not any(each.is_async or each.relays or each.needs_send_id for each in records)
