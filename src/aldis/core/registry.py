"""Who is connected to one signal: the bookkeeping under it.

Any thread may connect, disconnect, send or lose its last reference at any time, and the garbage
collector may run a ``__del__`` that does one of these in the middle of another on the same thread.
Three habits make that harmless:

- a weakref callback only appends to a deque, which the next operation sweeps;
- everything that can run foreign code (allocation, comparison, a weak reference) happens before a
  change, and the change itself is a straight line of stores, made when the version has not moved:
  without a call or a loop, where the interpreter may turn to something else;
- what a change lets go of dies after the lock is released.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from typing import Any, Final
from weakref import ref

from aldis.core._native import Link, Routes
from aldis.core.process import ForkSafeLock, RLock
from aldis.core.receiver import (
    PLAIN,
    ReceiverInfo,
    analyze,
    receiver_key,
    referent_of,
    weakref_error,
)
from aldis.core.sender import ANY, sender_key

__all__ = [
    "BY_CONNECT",
    "CONNECT",
    "DISCONNECTED",
    "Connection",
    "Owners",
    "Plan",
    "ReceiverRecord",
    "ReceiverRef",
    "Registry",
    "SenderRecord",
    "SenderRef",
    "WatchingRef",
    "any_strong",
]

#: The owner of what ``connect`` connected; every other owner is a subscription's handle.
CONNECT: Final = "connect"

Owners = tuple[tuple[object, bool], ...]

#: The owners of most connections, held strongly and weakly.
BY_CONNECT: Final[tuple[Owners, Owners]] = (((CONNECT, False),), ((CONNECT, True),))


class WatchingRef(ref[Any]):
    """A weak reference that knows whose record it belongs to."""

    __slots__ = ("key",)
    key: object


class ReceiverRef(WatchingRef):
    """To a receiver, or to the object or the function of a method."""

    __slots__ = ()


class SenderRef(WatchingRef):
    """To a sender."""

    __slots__ = ()


class ReceiverRecord:
    """One receiver and all its connections to this signal.

    It is in :attr:`Registry.receivers` exactly as long as it has connections.
    """

    __slots__ = ("info", "is_async", "key", "links", "lookup", "needs_send_id", "ref", "relays")

    def __init__(
        self, key: object, anchor: Any, anchor_ref: ReceiverRef | None, info: ReceiverInfo
    ) -> None:
        self.key = key
        self.ref = anchor_ref
        # Not the reference with the callback: a plain one is faster to call. Where there can be
        # none, only strong connections are made, and this holds on to the anchor for them.
        self.lookup: Callable[[], Any] = (
            partial(_same, anchor) if anchor_ref is None else ref(anchor)
        )
        self.info = info
        self.is_async = info.is_async
        self.relays = info.relays
        self.needs_send_id = info.needs_send_id
        self.links: dict[object, Connection] = {}

    def held(self) -> Any:
        """Return the receiver, if a connection holds it strongly, else a weak reference to it."""
        # A list, which the collector cannot interrupt half-way, as it can a tuple.
        for link in list(self.links.values()):
            if link.keep is not None:
                return link.keep
        return self.ref

    def owns(self, dead: WatchingRef) -> bool:
        """Tell whether ``dead`` is this record's and not that of an earlier one with its key."""
        return dead is self.ref or dead is self.info.function_ref


class SenderRecord:
    """One sender and all the connections for it; it stays as long as it has connections."""

    __slots__ = ("held", "key", "links", "plan", "ref")

    def __init__(self, key: object, sender: Any, sender_ref: SenderRef | None) -> None:
        self.key = key
        self.ref = sender_ref
        self.held = sender if sender_ref is None else None
        self.links: dict[object, Connection] = {}
        self.plan: Plan | None = None

    def get(self) -> Any:
        """Return the sender, or ``None`` when it is dead."""
        return self.held if self.ref is None else self.ref()


class Connection(Link):
    """A link of the call loop with what the registry knows of it.

    Once it is undone, ``live`` is false and it resolves to nothing: a send under way skips it.
    """

    __slots__ = ("keep", "origin", "owners", "receiver", "sender", "serial")

    def __init__(self, receiver: ReceiverRecord, sender: SenderRecord, origin: str | None) -> None:
        self.ref = receiver.lookup
        self.resolver = receiver.info.resolver
        self.receiver = receiver
        self.sender = sender
        self.origin = origin
        # Whoever makes a connection adds these.
        self.keep: Any
        self.owners: Owners
        self.serial: int

    @property
    def live(self) -> bool:
        """Whether the connection is still there, if perhaps with a dead receiver."""
        return self.ref is not DISCONNECTED

    @property
    def weak(self) -> bool:
        """Whether nothing but the application keeps the receiver alive."""
        return self.keep is None

    @property
    def is_async(self) -> bool:
        """Whether the receiver has to be awaited."""
        return self.receiver.is_async

    @property
    def relays(self) -> bool:
        """Whether the receiver is another signal's ``send``."""
        return self.receiver.relays

    @property
    def needs_send_id(self) -> bool:
        """Whether what is called asks which send it is part of."""
        return self.receiver.needs_send_id

    def owned_weakly(self, owner: object) -> bool | None:
        """Return whether ``owner`` holds the receiver weakly, or ``None`` if it is no owner."""
        for each, weak in self.owners:
            if each is owner:
                return weak
        return None

    def owners_with(self, owner: object, weak: bool | None) -> Owners:
        """Return the owners with ``owner`` holding it as ``weak`` says; ``None`` leaves it out."""
        others = tuple([each for each in self.owners if each[0] is not owner])
        return others if weak is None else (*others, (owner, weak))


class Plan:
    """The connections that one send walks, in connection order.

    Attributes:
        links: The connections.
        base: For a sender's own plan: the plan of every sender that it was merged with.
        plain: Whether the call loop can walk it without looking at anything else.
    """

    __slots__ = ("base", "links", "plain")

    def __init__(self, links: tuple[Connection, ...], base: Plan | None, *, plain: bool) -> None:
        self.links = links
        self.base = base
        self.plain = plain


def any_strong(owners: Owners) -> bool:
    """Tell whether one of the owners holds the receiver strongly."""
    return not all([weak for _, weak in owners])  # noqa: C419 - faster here than a generator


def _disconnected(*_: object) -> None:
    return None


#: Stands in for the references of a connection that was undone: there is nothing to call.
DISCONNECTED: Final[Callable[..., None]] = _disconnected


def _same(anchor: Any) -> Any:
    return anchor


class Registry:
    """The connections of one signal.

    Args:
        signal_ref: Gives the signal, for receivers that bind themselves to it.
    """

    def __init__(self, signal_ref: ref[Any]) -> None:
        self.signal_ref = signal_ref
        self._lock = ForkSafeLock()
        self.version = 0
        self.serial = 0
        self.receivers: dict[object, ReceiverRecord] = {}
        self.senders: dict[object, SenderRecord] = {}
        self.everyone = SenderRecord(ANY, ANY, None)
        self.dead: deque[WatchingRef] = deque()
        self._queue_dead = self.dead.append
        self.routes = Routes(self.dead)
        self.publishing = True
        self.lost: list[str] = []

    def __del__(self) -> None:
        # Records, connections and plans know each other; without this, what they hold would stay
        # until the collector comes by.
        for record in list(self.receivers.values()):
            record.links.clear()
        for source in (self.everyone, *self.senders.values()):
            source.links.clear()
            source.plan = None

    @property
    def lock(self) -> RLock:
        """The lock under which the tables change, for a ``with`` statement."""
        return self._lock.of_this_process()

    # -- changing ------------------------------------------------------------------------------

    def connect(
        self, receiver: Any, sender: Any, *, weak: bool, owner: object, origin: str | None = None
    ) -> tuple[Connection, bool | None]:
        """Let ``owner`` own the connection of ``receiver`` for ``sender``, new if there is none.

        Returns:
            The connection, and whether ``owner`` held it weakly before; ``None`` if not at all.

        Raises:
            ReceiverError: ``receiver`` shall be held weakly, and cannot be.
        """
        key = receiver_key(receiver)
        spare: ReceiverRecord | None = None
        keep_alive: list[object] = []
        while True:
            if self.dead:
                self.sweep()
            if spare is None and key not in self.receivers:
                # Not under the lock: the receiver is asked how it shall be reached, and may wait
                # for another thread that connects, or connect something itself.
                spare = self._record(key, receiver)
            with self._lock.of_this_process():
                version = self.version
                record = self.receivers.get(key, spare)
                if record is None:
                    continue
                weakly = weak and not record.info.strong
                if weakly and record.ref is None:
                    raise weakref_error(receiver)
                source = self._source(sender)
                link = record.links.get(source.key)
                new = link is None
                if link is None:
                    link = Connection(record, source, origin)
                    before = None
                    owners = BY_CONNECT[weakly] if owner is CONNECT else ((owner, weakly),)
                    strong = not weakly
                    keep_alive.append(source.plan)
                else:
                    before = link.owned_weakly(owner)
                    owners = link.owners_with(owner, weakly)
                    strong = any_strong(owners)
                    keep_alive.append(link.keep)
                if self.version != version:
                    continue
                # Nothing can come between the stores from here on.
                link.owners = owners
                link.keep = receiver if strong else None
                self.version += 1
                if new:
                    self.serial = link.serial = self.serial + 1
                    record.links[source.key] = link
                    source.links[key] = link
                    self.receivers[key] = record
                    source.plan = None
                    if source is self.everyone:
                        self.routes.everyone = None
                    else:
                        self.senders[source.key] = source
                        self.routes.scoped[source.key] = None
            return link, before

    def disown(self, link: Connection, owner: object) -> bool:
        """Take ``owner`` from ``link``; its last owner takes the connection along.

        Returns:
            Whether the connection is DISCONNECTED by this.
        """
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            while True:
                version = self.version
                if not link.live:
                    return False
                owners = link.owners_with(owner, None)
                strong = any_strong(owners)
                keep_alive.append(link.keep)
                if self.version == version:
                    break
            link.owners = owners
            if not strong:
                link.keep = None
            self.version += 1
            if owners:
                return False
            self._drop(link, keep_alive)
            return True

    def disconnect(self, receiver: Any, sender: Any) -> bool:
        """Undo the connection of ``receiver`` for ``sender``; with ``ANY``, all of its connections.

        Returns:
            Whether there was one.
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

    def clear(self) -> None:
        """Undo every connection."""
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            for link in self.all():
                self._drop(link, keep_alive)

    def sweep(self) -> None:
        """Forget what has died, and what dies of that."""
        while self.dead:
            keep_alive: list[object] = []
            with self.lock:
                self._sweep(keep_alive)
            del keep_alive  # the receivers that only a dead sender's connections kept alive

    def _sweep(self, keep_alive: list[object]) -> None:
        dead = self.dead
        while True:
            try:
                dead_ref = dead[0]
            except IndexError:  # the collector may have swept, since a test could have told
                return
            for link in self._left_by(dead_ref):
                if link.origin is not None and type(dead_ref) is ReceiverRef:
                    self.lost.append(link.origin)
                self._drop(link, keep_alive)
            # Not earlier: while it waits here, no send takes a stranger with its id for it.
            if dead and dead[0] is dead_ref:
                dead.popleft()

    def _left_by(self, dead_ref: WatchingRef) -> tuple[Connection, ...]:
        record: ReceiverRecord | SenderRecord | None
        if type(dead_ref) is ReceiverRef:
            record = self.receivers.get(dead_ref.key)
            return (
                () if record is None or not record.owns(dead_ref) else self._snapshot(record.links)
            )
        record = self.senders.get(dead_ref.key)
        return () if record is None or record.ref is not dead_ref else self._snapshot(record.links)

    def _drop(self, link: Connection, keep_alive: list[object]) -> None:
        """Take ``link`` out of every table; a second time does nothing."""
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
        # As above: only stores, and whatever they let go of is kept alive by the keep_alive.
        link.owners = ()
        link.keep = None
        link.ref = DISCONNECTED
        if link.resolver is not None:
            link.resolver = DISCONNECTED
        del record.links[source.key]
        del source.links[record.key]
        if not record.links:
            del self.receivers[record.key]
            # Plans of other senders may refer to the link for a while; not to what it called.
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
        # A dict does not do it by itself: what had 100,000 entries is 5 MB of nothing.
        for table in (self.receivers, self.senders, self.routes.scoped, self.everyone.links):
            if not table:  # the collector may have connected somebody since the last one
                table.clear()

    def _record(self, key: object, receiver: Any) -> ReceiverRecord:
        """Return a record of ``receiver``; it is not in the table."""
        info = analyze(receiver, self.signal_ref(), partial(self._watch, key))
        anchor = referent_of(receiver)
        return ReceiverRecord(key, anchor, self._watch(key, anchor), info)

    def _watch(self, key: object, target: Any) -> ReceiverRef | None:
        try:
            made = ReceiverRef(target, self._queue_dead)
        except TypeError:  # what it is of allows no weak references
            return None
        made.key = key
        return made

    def _source(self, sender: Any) -> SenderRecord:
        """Return the record of ``sender``, a new one if need be; it is not in the table then."""
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
                pass  # it is held instead, so that its id is not given to a stranger
        return SenderRecord(key, sender, made)

    # -- planning ------------------------------------------------------------------------------

    def links_for(self, sender: Any) -> tuple[Connection, ...]:
        """Return the connections that a send from ``sender`` walks, in connection order."""
        return self._plan_for(sender).links

    def _plan_for(self, sender: Any) -> Plan:
        keep_alive: list[object] = []
        with self.lock:
            self._sweep(keep_alive)
            everyone = self._plan_everyone()
            record = self.senders.get(sender_key(sender))
            if record is None:
                return everyone
            plan = record.plan
            if plan is None or plan.base is not everyone:
                plan = self._plan_merged(record, everyone)
            return plan

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
        """Let the call loop walk plain links by itself, or send everything through the rules."""
        with self.lock:
            self.publishing = allowed
            self.routes.everyone = None

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
        """Copy the values, although the collector may change the table while they are copied."""
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
    return not any(link.is_async or link.relays or link.needs_send_id for link in links)
