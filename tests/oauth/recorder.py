"""Records the three signals of a login."""

from contextlib import ExitStack, contextmanager

from aldis.oauth import oauth_authorized, oauth_before_login, oauth_error


class Recorded(list):
    """Tuples of a signal's name, the sender and the payload, in the order of the sends."""

    def names(self):
        """Return the names of the signals in the order of the sends."""
        return [name for name, _, _ in self]

    def only(self, name):
        """Return the payload of the only send of the signal ``name``."""
        (payload,) = [payload for each, _, payload in self if each == name]
        return payload


@contextmanager
def recording():
    """Record all three signals while a ``with`` block runs."""
    recorded = Recorded()
    with ExitStack() as stack:
        for signal in (oauth_before_login, oauth_authorized, oauth_error):

            def note(sender, *, _name=signal.name, **payload):
                recorded.append((_name, sender, payload))

            stack.enter_context(signal.connected_to(note))
        yield recorded
