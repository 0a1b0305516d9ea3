"""Helpers of the codec's tests: a signal with one argument, and a loader."""

from decimal import Decimal

from aldis import Namespace
from aldis.durable.codec import PayloadCodec


class Rows:
    """A loader with an app and rows.

    Args:
        app: The app.
        session: A session to load mapped instances with.
    """

    def __init__(self, app=None, session=None):
        self.app = app
        self.session = session

    def load(self, model, identity):
        """Load a row by its primary key, as the worker does."""
        return self.session.get(model, identity)


def receipt(sender, **extra):
    """Receive any arguments."""


def signal_of(value_type, sender_type=None):
    """Return a signal whose only argument is ``value`` of the given type."""

    def shop_changed(sender, /, *, value): ...

    shop_changed.__annotations__ = {"value": value_type}
    if sender_type is not None:
        shop_changed.__annotations__["sender"] = sender_type
    return Namespace().define(shop_changed)


def codec_of(value_type, sender_type=None, receiver=receipt, **options):
    """Return the codec of a signal with one argument."""
    return PayloadCodec(receiver, signal_of(value_type, sender_type), **options)


def travel(value_type, value, **options):
    """Encode and decode ``value`` and return the result."""
    codec = codec_of(value_type, **options)
    _, arrived = codec.decode(codec.encode(None, {"value": value}), Rows())
    return arrived["value"]


def typed(value):
    """Return ``value`` with the types of all its parts, so that ``1`` is not ``True``."""
    if isinstance(value, dict):
        return dict, [(typed(key), typed(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [typed(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(map(repr, map(typed, value)))
    if isinstance(value, Decimal):
        return Decimal, value.as_tuple()
    if isinstance(value, float):
        return float, value.hex()
    return type(value), value
