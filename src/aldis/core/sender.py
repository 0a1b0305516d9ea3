"""The identity of a sender.

Signals tell senders apart by identity, except ``str`` and ``int``, which they tell apart by value.
The key spaces never meet: a sender's key is an ``int`` (the ``id`` of an object), a ``str``, or a
tuple with one ``int`` (a number as sender).
"""

from __future__ import annotations

from collections.abc import Iterable
from types import GeneratorType
from typing import Any, ClassVar, Final

from aldis.core.text import printable, shortened
from aldis.errors import UnboundSenderError

__all__ = [
    "ANY",
    "COLLECTIONS",
    "SubclassesOf",
    "Symbol",
    "describe_sender",
    "is_proxy",
    "is_subclass",
    "mro_of",
    "real_sender",
    "sender_key",
    "senders_of",
]

PROXY_ATTRIBUTE: Final = "_get_current_object"

#: The length of the text for a sender: it fits in a line.
WIDTH: Final = 60

#: A longer number is described without its digits.
MOST_BITS: Final = 190


class Symbol:
    """A named constant: equal names give the same object, also after pickling.

    Args:
        name: The name of the symbol and its ``repr``.
    """

    symbols: ClassVar[dict[str, Symbol]] = {}
    name: str

    def __new__(cls, name: str) -> Symbol:  # noqa: PYI034 - an equal name gives an existing symbol
        """Return the symbol called ``name``; make it if there is none."""
        symbol = super().__new__(cls)
        symbol.name = name
        return cls.symbols.setdefault(name, symbol)

    def __repr__(self) -> str:
        return self.name

    def __getnewargs__(self) -> tuple[str]:
        return (self.name,)


#: The sender that stands for every sender.
ANY: Final = Symbol("ANY")


#: The types of objects that probably contain senders and are not a sender themselves.
COLLECTIONS: Final = frozenset(
    {list, tuple, set, frozenset, type({}.keys()), type({}.values()), GeneratorType}
)


class SubclassesOf:
    """A class as sender that stands for its subclasses, too.

    Args:
        sender: The class.

    Raises:
        TypeError: ``sender`` is not a class.
    """

    __slots__ = ("sender",)

    sender: type[Any]

    def __init__(self, sender: Any) -> None:
        # Not isinstance(), which asks the sender's ``__class__``: a mock of a class is not one.
        if not issubclass(type(sender), type):
            found = describe_sender(sender, address=False)
            message = (
                f"subclasses=True needs a class as sender, not {found}; a send "
                "has the class itself as sender: signal.send(Branch)"
            )
            raise TypeError(message)
        self.sender = sender


def senders_of(sender: Any, senders: Iterable[Any] | None, subclasses: bool) -> tuple[Any, ...]:
    """Return the senders that the arguments of ``connect`` name. None of them is a proxy.

    Args:
        sender: One sender.
        senders: Several senders instead.
        subclasses: Whether each sender is a class that stands for its subclasses, too.

    Raises:
        TypeError: Both ``sender`` and ``senders`` are given, or one has the wrong type.
        ValueError: ``senders`` is empty.
        UnboundSenderError: A sender is a proxy that stands for no object at the moment.
    """
    found = [real_sender(sender)] if senders is None else _several(sender, senders)
    if subclasses:
        return tuple([SubclassesOf(each) for each in found])
    return tuple(found)


def _several(sender: Any, senders: Any) -> list[Any]:
    # The default of a method of blinker is blinker's ANY, a proxy.
    if real_sender(sender) is not ANY:
        message = "sender= and senders= are both given; put every sender into senders=[...]"
        raise TypeError(message)
    kind = type(senders)
    if issubclass(kind, (str, bytes, type)) or not hasattr(kind, "__iter__"):
        found = describe_sender(senders, address=False)
        message = f"senders= must be a list of senders, not {found}; for one sender, write sender="
        raise TypeError(message)
    listed = [real_sender(each) for each in senders]
    if not listed:
        message = (
            "senders= is empty, so the receiver would never be called; leave senders= out to "
            "listen to any sender"
        )
        raise ValueError(message)
    return listed


_mro: Final[Any] = type.__dict__["__mro__"].__get__


def mro_of(sender: Any) -> tuple[type[Any], ...]:
    """Return a class and its bases; an empty tuple for other objects. This runs no foreign code."""
    found: tuple[type[Any], ...] = _mro(sender) if issubclass(type(sender), type) else ()
    return found


def is_subclass(sender: Any, base: type[Any] | None) -> bool:
    """Tell whether ``sender`` is ``base`` or a class that is derived from it."""
    return any(each is base for each in mro_of(sender))


def is_proxy(sender: object) -> bool:
    """Return whether ``sender`` stands for another object, as Flask's ``current_app`` does."""
    return hasattr(type(sender), PROXY_ATTRIBUTE)


def real_sender(sender: Any) -> Any:
    """Return the object that a proxy stands for, or ``sender`` itself if it is not a proxy.

    Raises:
        UnboundSenderError: The proxy stands for no object at the moment.
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


def sender_key(sender: Any) -> object:
    """Return the key that tells ``sender`` apart from every other living sender.

    Subclasses of ``str`` and ``int``, such as ``StrEnum``, count by their plain value, whatever
    their ``__hash__`` and ``__eq__`` do. A ``bool`` does not count as a number.
    """
    kind = type(sender)
    if kind is str:
        return sender
    if kind is int:
        return (sender,)
    # Not isinstance(), which asks the sender's ``__class__``: a mock of a str is not one.
    if issubclass(kind, str):
        return str.__str__(sender)
    if issubclass(kind, int) and kind is not bool:
        return (int.__int__(sender),)
    return id(sender)


def describe_sender(sender: Any, *, address: bool = True) -> str:
    """Return a short text for ``sender``, without calling its ``__repr__``.

    A ``__repr__`` may be slow or have side effects.

    Args:
        sender: The sender.
        address: Whether to show the address of an object without a name. Leave it out where readers
            do not compare the text with that of another sender.
    """
    kind = type(sender)
    if issubclass(kind, str):
        return _quoted(sender)
    if sender is None or kind is bool:
        return repr(sender)
    if issubclass(kind, int):
        value = int.__int__(sender)
        return repr(value) if value.bit_length() <= MOST_BITS else f"<{kind.__qualname__}>"
    if sender is ANY:
        return "any sender"
    name = kind.__qualname__
    if len(name) > WIDTH or not name.isprintable():
        name = printable(shortened(name, WIDTH))
    for attribute in ("name", "__name__"):
        try:
            text = getattr(sender, attribute, None)
        except Exception:  # noqa: BLE001, S112 - a property may raise anything, and this must not
            continue
        if text is not None and issubclass(type(text), str) and text:
            return f"<{name} {_quoted(text)}>"
    return f"<{name} at {id(sender):#x}>" if address else f"<{name} object>"


def _quoted(text: str) -> str:
    # Shortened first, because the text may be long; and again, because an escape is longer.
    return shortened(repr(shortened(text, WIDTH)), WIDTH)
