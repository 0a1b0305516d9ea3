"""What the registry's tables hold: receivers, senders, the connections between them, and plans."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from weakref import ref

from aldis.core.binding import Anatomy
from aldis.core.twin import Link

__all__ = [
    "BY_CONNECT",
    "CONNECT",
    "Connection",
    "Owners",
    "Plan",
    "ReceiverRecord",
    "ReceiverRef",
    "SenderRecord",
    "SenderRef",
    "WatchingRef",
    "any_strong",
    "gone",
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

    __slots__ = ("anatomy", "asks_send", "is_async", "key", "links", "lookup", "ref", "relays")

    def __init__(
        self, key: object, anchor: Any, anchor_ref: ReceiverRef | None, anatomy: Anatomy
    ) -> None:
        self.key = key
        self.ref = anchor_ref
        # Not the reference with the callback: a plain one is faster to call. Where there can be
        # none, only strong connections are made, and this holds on to the anchor for them.
        self.lookup: Callable[[], Any] = (
            partial(_same, anchor) if anchor_ref is None else ref(anchor)
        )
        self.anatomy = anatomy
        self.is_async = anatomy.is_async
        self.relays = anatomy.relays
        self.asks_send = anatomy.asks_send
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
        return dead is self.ref or dead is self.anatomy.function_ref


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
        self.shape = receiver.anatomy.shape
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
        return self.ref is not gone

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
    def asks_send(self) -> bool:
        """Whether what is called asks which send it is part of."""
        return self.receiver.asks_send

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


def gone(*_: object) -> None:
    """Stand in for the references of a connection that is undone: there is nothing to call."""


def _same(anchor: Any) -> Any:
    return anchor
