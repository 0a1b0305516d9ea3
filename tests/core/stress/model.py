"""A naive model of a signal: a list of connections.

It knows receivers and senders by their names only, so that it keeps nobody alive.
"""

from dataclasses import dataclass, field

ANYBODY = "any sender"


@dataclass
class Listener:
    """One connection with its owners, and whether each owner holds the receiver weakly."""

    receiver: str
    sender: object
    owners: dict[object, bool] = field(default_factory=dict)
    live: bool = True

    @property
    def strong(self):
        """Whether one of the owners holds the receiver strongly."""
        return not all(self.owners.values())


class Model:
    """The listeners of a signal in connection order.

    Args:
        body_of: From a receiver's name to the name of the object that it is, or is a method of.
        held: The names of senders that a connection keeps alive.
    """

    def __init__(self, body_of, held):
        self.listeners = []
        self.body_of = body_of
        self.held = held
        self.muted = 0

    def find(self, receiver, sender):
        """Return the one listener, or ``None``."""
        found = [
            each for each in self.listeners if (each.receiver, each.sender) == (receiver, sender)
        ]
        return found[0] if found else None

    def connect(self, receiver, sender, owner, *, weak):
        """Let ``owner`` own a listener; a new one comes last."""
        listener = self.find(receiver, sender)
        if listener is None:
            listener = Listener(receiver, sender)
            self.listeners.append(listener)
        listener.owners[owner] = weak
        return listener

    def disconnect(self, receiver, sender):
        """Undo one listener, or all of the receiver's."""
        for each in list(self.listeners):
            if each.receiver == receiver and sender in (ANYBODY, each.sender):
                self._remove(each)

    def cancel(self, listener, owner):
        """Take one owner away, and the listener with the last."""
        listener.owners.pop(owner, None)
        if listener.live and not listener.owners:
            self._remove(listener)

    def _remove(self, listener):
        listener.live = False
        listener.owners.clear()
        self.listeners.remove(listener)

    def for_sender(self, sender):
        """Return the receivers for ``sender``, in connection order."""
        return [each for each in self.listeners if each.sender in (ANYBODY, sender)]

    def receivers_for(self, sender):
        """Return the names of the receivers that hear ``sender``, each once."""
        return list(dict.fromkeys(each.receiver for each in self.for_sender(sender)))

    def turns(self, sender):
        """Yield the receivers that a send calls. A dead or disconnected receiver is skipped."""
        called = set()
        for each in [] if self.muted else self.for_sender(sender):
            if each.live and each.receiver not in called:
                called.add(each.receiver)
                yield each.receiver

    def settle(self, bodies, senders):
        """Remove the dead receivers and senders, if only ``bodies`` and ``senders`` are alive."""
        while True:
            kept = {self.body_of(each.receiver) for each in self.listeners if each.strong}
            gone = [
                each
                for each in self.listeners
                if not (each.sender == ANYBODY or each.sender in senders | self.held)
                or self.body_of(each.receiver) not in bodies | kept
            ]
            if not gone:
                return
            for each in gone:
                self._remove(each)
