"""A naive model of a signal: a list of connections.

It stores only the names of receivers and senders, so it keeps no object alive.
"""

from dataclasses import dataclass, field

ANYBODY = "any sender"


@dataclass
class Listener:
    """A connection with its owners. Each owner holds the receiver weakly or strongly."""

    receiver: str
    sender: object
    owners: dict[object, bool] = field(default_factory=dict)
    live: bool = True

    @property
    def strong(self):
        """Return whether an owner holds the receiver strongly."""
        return not all(self.owners.values())


class Model:
    """The listeners of a signal, in connection order.

    Args:
        body_of: Maps a receiver's name to the name of its object. A method's object is bound to it.
        held: The names of senders that a connection keeps alive.
    """

    def __init__(self, body_of, held):
        self.listeners = []
        self.body_of = body_of
        self.held = held
        self.muted = 0

    def find(self, receiver, sender):
        """Return the listener of a receiver and a sender, or ``None``."""
        found = [
            each for each in self.listeners if (each.receiver, each.sender) == (receiver, sender)
        ]
        return found[0] if found else None

    def connect(self, receiver, sender, owner, *, weak):
        """Add ``owner`` to a listener. A new listener is the last one."""
        listener = self.find(receiver, sender)
        if listener is None:
            listener = Listener(receiver, sender)
            self.listeners.append(listener)
        listener.owners[owner] = weak
        return listener

    def disconnect(self, receiver, sender):
        """Remove one listener, or all listeners of the receiver."""
        for each in list(self.listeners):
            if each.receiver == receiver and sender in (ANYBODY, each.sender):
                self._remove(each)

    def cancel(self, listener, owner):
        """Remove an owner. Without owners, the listener is removed too."""
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
        """Return the names of the receivers that are called for ``sender``, each once."""
        return list(dict.fromkeys(each.receiver for each in self.for_sender(sender)))

    def calls(self, sender):
        """Yield the receivers that a send calls. A dead or disconnected receiver is skipped."""
        called = set()
        for each in [] if self.muted else self.for_sender(sender):
            if each.live and each.receiver not in called:
                called.add(each.receiver)
                yield each.receiver

    def remove_dead(self, bodies, senders):
        """Remove every receiver and sender whose name is not in ``bodies`` or ``senders``."""
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
