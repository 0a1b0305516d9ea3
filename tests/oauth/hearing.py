"""Writes down what the three signals say."""

from contextlib import ExitStack, contextmanager

from aldis.oauth import oauth_authorized, oauth_before_login, oauth_error


class Heard(list):
    """Tuples of a signal's name, the sender and the payload, in the order of the sends."""

    def names(self):
        """Return which signals were sent."""
        return [name for name, _, _ in self]

    def only(self, name):
        """Return the payload of the one send of the signal called ``name``."""
        (payload,) = [payload for each, _, payload in self if each == name]
        return payload


@contextmanager
def listening():
    """Listen to all three while a ``with`` block runs."""
    heard = Heard()
    with ExitStack() as stack:
        for signal in (oauth_before_login, oauth_authorized, oauth_error):

            def note(sender, *, _name=signal.name, **payload):
                heard.append((_name, sender, payload))

            stack.enter_context(signal.connected_to(note))
        yield heard
