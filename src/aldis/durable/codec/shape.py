"""A shape is how values of one type are written as JSON and read again.

``dump`` refuses what would not come back as it was; ``load`` refuses what ``dump`` does not write.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NoReturn, Protocol, TypeVar

from aldis.core.sender import is_proxy, real_sender
from aldis.errors import (
    PayloadError,
    PayloadMismatchError,
    PayloadTypeError,
    UnboundSenderError,
)

__all__ = [
    "Loader",
    "Shape",
    "behind",
    "deeper",
    "misfit",
    "mismatch",
    "name_of_type",
    "where",
    "with_article",
]

E = TypeVar("E", PayloadError, PayloadTypeError)


class Loader(Protocol):
    """What the worker knows and the recorded text does not."""

    @property
    def app(self) -> Any:
        """What a sender that was the app becomes; ``None`` where there is no app."""
        ...

    def load(self, model: type, identity: tuple[Any, ...]) -> Any | None:
        """Return the instance of a mapped class by its primary key, ``None`` if it is gone."""
        ...


class Shape(ABC):
    """How the values of one type travel.

    Attributes:
        types: The Python types of the values; a value of a subclass is not meant, unless the
            shape says so itself.
        kinds: The JSON types that ``dump`` writes, as the Python types that they are read as.
        tag: The key and the value in a JSON object that tell it from the objects of other shapes.
    """

    types: tuple[type, ...] = ()
    kinds: frozenset[type] = frozenset()
    tag: tuple[str, str | int] | None = None
    by_subclass: ClassVar[bool] = False

    @abstractmethod
    def dump(self, value: Any) -> Any:
        """Return what is written for ``value``.

        Raises:
            PayloadError: It would not come back as it is.
        """

    @abstractmethod
    def load(self, raw: Any, loader: Loader) -> Any:
        """Return the value that ``raw`` was written for.

        Raises:
            PayloadMismatchError: ``raw`` was not written by this shape.
            LostRowError: It stands for a row that is gone.
        """

    @abstractmethod
    def __str__(self) -> str:
        """Name the type as the annotation does."""


def name_of_type(kind: Any) -> str:
    """Name a type as messages do: without the module where that says nothing."""
    if kind is type(None):
        return "None"
    return kind.__qualname__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def misfit(value: Any, shape: Shape) -> NoReturn:
    """Refuse ``value``, which is not of the type that is declared."""
    kind = type(value)
    sent = with_article(kind)
    base = next((each for each in shape.types if isinstance(value, each)), None)
    if base is None or kind is base:
        problem = f"is {sent}, and {shape} is declared: send that, or declare {sent}"
    else:
        arrives = with_article(base)
        problem = f"is {sent}, which would arrive as {arrives}: send {arrives}, or declare {sent}"
    raise PayloadError(problem)


def mismatch(raw: Any, shape: object) -> NoReturn:
    """Refuse ``raw``, which was recorded where ``shape`` is declared by now."""
    raise PayloadMismatchError(f"is {_JSON.get(type(raw), 'unknown')}, which is no {shape}")


def behind(value: Any) -> Any:
    """Return what a proxy (``current_user``) stands for, and any other value itself."""
    if not is_proxy(value):
        return value
    try:
        return real_sender(value)
    except UnboundSenderError as error:
        kind = type(value).__name__
        raise PayloadError(f"is a {kind} that stands for no object here") from error


def deeper(error: E, step: str) -> E:
    """Note on ``error`` that it happened at ``step`` of the value at hand, and return it."""
    error.__dict__["where"] = step + error.__dict__.get("where", "")
    return error


def where(error: Exception) -> str:
    """Return the way from the argument to the value that ``error`` is about: ``.lines[2].sku``."""
    path: str = error.__dict__.get("where", "")
    return path if len(path) <= LONGEST else f"{path[:LONGEST]}…"


LONGEST = 200

_JSON = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def with_article(kind: object) -> str:
    """Name a type, or what ``str`` says of a shape, with its article: ``an Order``."""
    name = name_of_type(kind)
    if kind is type(None):
        return name
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
