"""Who a sender or a receiver is.

Senders are told apart by identity, except ``str`` and ``int``, which are told apart by value. The
two never meet: a sender's key is an ``int`` (the ``id`` of an object), a ``str``, or a tuple around
an ``int`` value.
"""

from __future__ import annotations

from types import MethodType
from typing import Any, ClassVar, Final
from weakref import WeakMethod, ref

from aldis.errors import UnboundSenderError

__all__ = [
    "ANY",
    "ANY_ID",
    "Symbol",
    "is_proxy",
    "make_id",
    "make_ref",
    "real_sender",
    "sender_key",
]

PROXY_ATTRIBUTE: Final = "_get_current_object"


class Symbol:
    """A named constant: equal names give the same object, pickling included.

    Args:
        name: What the symbol is called, and printed as.
    """

    symbols: ClassVar[dict[str, Symbol]] = {}
    name: str

    def __new__(cls, name: str) -> Symbol:  # noqa: PYI034 - the same for equal names
        """Return the symbol of that name, making it if there is none."""
        symbol = super().__new__(cls)
        symbol.name = name
        return cls.symbols.setdefault(name, symbol)

    def __repr__(self) -> str:
        return self.name

    def __getnewargs__(self) -> tuple[str]:
        return (self.name,)


#: The sender that stands for every sender.
ANY: Final = Symbol("ANY")

#: The key under which ``Signal._by_sender`` lists receivers of every sender.
ANY_ID: Final = 0


def is_proxy(sender: object) -> bool:
    """Tell whether ``sender`` stands for another object, as Flask's ``current_app`` does."""
    return hasattr(type(sender), PROXY_ATTRIBUTE)


def real_sender(sender: Any) -> Any:
    """Return the object that ``sender`` stands for, or ``sender`` itself when it is no proxy.

    Raises:
        UnboundSenderError: The proxy stands for nothing at the moment.
    """
    while is_proxy(sender):
        try:
            sender = sender._get_current_object()
        except RuntimeError as error:
            message = (
                f"the sender is a {type(sender).__name__} that stands for no object here; use it "
                "while it is bound (inside the application context) or pass the object itself"
            )
            raise UnboundSenderError(message) from error
    return sender


def sender_key(sender: object) -> object:
    """Return the key that tells ``sender`` from every other living sender.

    Subclasses of ``str`` and ``int`` (``StrEnum`` and ``IntEnum`` too) count by their plain value,
    whatever they do to ``__hash__`` and ``__eq__``. ``bool`` is not a number here.
    """
    kind = type(sender)
    if kind is str:
        return sender
    if kind is int:
        return (sender,)
    if isinstance(sender, str):
        return str.__str__(sender)
    if isinstance(sender, int) and kind is not bool:
        return (int.__int__(sender),)
    return id(sender)


def make_id(obj: Any) -> Any:
    """Return blinker's identifier of a sender or receiver, as its ``_utilities`` module does.

    The engine does not use it: in this key space an ``int`` sender can meet another object's id.
    """
    if type(obj) is MethodType:
        return id(obj.__func__), id(obj.__self__)
    return obj if isinstance(obj, (str, int)) else id(obj)


def make_ref(obj: Any, callback: Any = None) -> Any:
    """Return a weak reference to ``obj``, a bound method included, as blinker's ``_utilities``."""
    return WeakMethod(obj, callback) if type(obj) is MethodType else ref(obj, callback)
