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
from collections.abc import Iterable
from functools import partial
from operator import attrgetter
from typing import Any
from weakref import ref

from aldis.core.binding import PLAIN, anchor_of, dissect, unheld
from aldis.core.identity import ANY, receiver_key, sender_key
from aldis.core.process import ForkSafeLock, RLock
from aldis.core.records import (
    BY_CONNECT,
    CONNECT,
    Connection,
    Plan,
    ReceiverRecord,
    ReceiverRef,
    SenderRecord,
    SenderRef,
    WatchingRef,
    any_strong,
    gone,
)
from aldis.core.twin import Routes

__all__ = ["Registry"]


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
        self._bury = self.dead.append
        self.routes = Routes(self.dead)
        self.publishing = True
        self.unheard: list[str] = []

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
            WeakReferenceError: ``receiver`` shall be held weakly, and cannot be.
        """
        key = receiver_key(receiver)
        spare: ReceiverRecord | None = None
        trash: list[object] = []
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
                weakly = weak and not record.anatomy.strong
                if weakly and record.ref is None:
                    raise unheld(receiver)
                source = self._source(sender)
                link = record.links.get(source.key)
                new = link is None
                if link is None:
                    link = Connection(record, source, origin)
                    before = None
                    owners = BY_CONNECT[weakly] if owner is CONNECT else ((owner, weakly),)
                    strong = not weakly
                    trash.append(source.plan)
                else:
                    before = link.owned_weakly(owner)
                    owners = link.owners_with(owner, weakly)
                    strong = any_strong(owners)
                    trash.append(link.keep)
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
            Whether the connection is gone by this.
        """
        trash: list[object] = []
        with self.lock:
            self._sweep(trash)
            while True:
                version = self.version
                if not link.live:
                    return False
                owners = link.owners_with(owner, None)
                strong = any_strong(owners)
                trash.append(link.keep)
                if self.version == version:
                    break
            link.owners = owners
            if not strong:
                link.keep = None
            self.version += 1
            if owners:
                return False
            self._drop(link, trash)
            return True

    def disconnect(self, receiver: Any, sender: Any) -> bool:
        """Undo the connection of ``receiver`` for ``sender``; with ``ANY``, all of its connections.

        Returns:
            Whether there was one.
        """
        trash: list[object] = []
        with self.lock:
            if self.dead:
                self._sweep(trash)
            record = self.receivers.get(receiver_key(receiver))
            if record is None:
                return False
            if sender is ANY:
                links = self._snapshot(record.links)
            else:
                link = record.links.get(sender_key(sender))
                links = () if link is None else (link,)
            for link in links:
                self._drop(link, trash)
        return bool(links)

    def clear(self) -> None:
        """Undo every connection."""
        trash: list[object] = []
        with self.lock:
            self._sweep(trash)
            for link in self.all():
                self._drop(link, trash)

    def sweep(self) -> None:
        """Forget what has died, and what dies of that."""
        while self.dead:
            trash: list[object] = []
            with self.lock:
                self._sweep(trash)
            del trash  # the receivers that only a dead sender's connections kept alive

    def _sweep(self, trash: list[object]) -> None:
        dead = self.dead
        while True:
            try:
                corpse = dead[0]
            except IndexError:  # the collector may have swept, since a test could have told
                return
            for link in self._left_by(corpse):
                if link.origin is not None and type(corpse) is ReceiverRef:
                    self.unheard.append(link.origin)
                self._drop(link, trash)
            # Not earlier: while it waits here, no send takes a stranger with its id for it.
            if dead and dead[0] is corpse:
                dead.popleft()

    def _left_by(self, corpse: WatchingRef) -> tuple[Connection, ...]:
        record: ReceiverRecord | SenderRecord | None
        if type(corpse) is ReceiverRef:
            record = self.receivers.get(corpse.key)
            return () if record is None or not record.owns(corpse) else self._snapshot(record.links)
        record = self.senders.get(corpse.key)
        return () if record is None or record.ref is not corpse else self._snapshot(record.links)

    def _drop(self, link: Connection, trash: list[object]) -> None:
        """Take ``link`` out of every table; a second time does nothing."""
        record, source = link.receiver, link.sender
        while True:
            version = self.version
            trash += (
                link.keep,
                link.shape,
                record.lookup,
                record.anatomy,
                record,
                source,
                source.plan,
            )
            if self.version == version:
                break
        if link.ref is gone:
            return
        # As above: only stores, and whatever they let go of is kept alive by the trash.
        link.owners = ()
        link.keep = None
        link.ref = gone
        if link.shape is not None:
            link.shape = gone
        del record.links[source.key]
        del source.links[record.key]
        if not record.links:
            del self.receivers[record.key]
            # Plans of other senders may refer to the link for a while; not to what it called.
            record.anatomy = PLAIN
            record.lookup = gone
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
        anatomy = dissect(receiver, self.signal_ref(), partial(self._watch, key))
        anchor = anchor_of(receiver)
        return ReceiverRecord(key, anchor, self._watch(key, anchor), anatomy)

    def _watch(self, key: object, target: Any) -> ReceiverRef | None:
        try:
            made = ReceiverRef(target, self._bury)
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
                made = SenderRef(sender, self._bury)
                made.key = key
            except TypeError:
                pass  # it is held instead, so that its id is not given to a stranger
        return SenderRecord(key, sender, made)

    # -- planning ------------------------------------------------------------------------------

    def links_for(self, sender: Any) -> tuple[Connection, ...]:
        """Return the connections that a send from ``sender`` walks, in connection order."""
        return self._plan_for(sender).links

    def _plan_for(self, sender: Any) -> Plan:
        trash: list[object] = []
        with self.lock:
            self._sweep(trash)
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
    return not any(link.is_async or link.relays or link.asks_send for link in links)
