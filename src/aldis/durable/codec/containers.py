"""Shapes of collections."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aldis.durable.codec.shape import Loader, Shape, deeper, misfit, mismatch
from aldis.errors import PayloadError, PayloadMismatchError

__all__ = ["Array", "Dict", "Either", "Pairs", "TupleShape", "dump_all", "load_all"]


def dump_all(shape: Shape, values: Iterable[Any]) -> list[Any]:
    """Dump each of ``values``; an error says which."""
    dump = shape.dump
    dumped: list[Any] = []
    try:
        for each in values:
            dumped.append(dump(each))  # noqa: PERF401 - its length says where it went wrong
    except PayloadError as error:
        raise deeper(error, f"[{len(dumped)}]") from None
    return dumped


def load_all(shape: Shape, raws: list[Any], loader: Loader) -> list[Any]:
    """Load each of ``raws``; an error says which."""
    load = shape.load
    loaded: list[Any] = []
    try:
        for each in raws:
            loaded.append(load(each, loader))  # noqa: PERF401 - as above
    except PayloadError as error:
        raise deeper(error, f"[{len(loaded)}]") from error.__cause__
    return loaded


class Array(Shape):
    """A list, tuple, set or frozenset of values of one type.

    Args:
        kind: Which of them.
        item: The shape of the values.
    """

    kinds = frozenset({list})

    def __init__(self, kind: type, item: Shape) -> None:
        self.types = (kind,)
        self._kind: Any = kind
        self._item = item

    def dump(self, value: Any) -> Any:
        """Return a list of what is written for the values."""
        if type(value) is not self._kind:
            misfit(value, self)
        return dump_all(self._item, value)

    def load(self, raw: Any, loader: Loader) -> Any:
        """Make the collection again."""
        if type(raw) is not list:
            mismatch(raw, self)
        values = load_all(self._item, raw, loader)
        try:
            return values if self._kind is list else self._kind(values)
        except TypeError as error:
            raise PayloadMismatchError(f"has values that no {self} can have") from error

    def __str__(self) -> str:
        ellipsis = ", ..." if self._kind is tuple else ""
        return f"{self._kind.__name__}[{self._item}{ellipsis}]"


class TupleShape(Shape):
    """A tuple of so many values, each of its own type."""

    types = (tuple,)
    kinds = frozenset({list})

    def __init__(self, items: list[Shape]) -> None:
        self._items = items

    def dump(self, value: Any) -> Any:
        """Return a list of what is written for the values."""
        if type(value) is not tuple:
            misfit(value, self)
        if len(value) != len(self._items):
            raise PayloadError(f"is a tuple of {len(value)}, and {self} is declared")
        dumped = []
        try:
            for shape, each in zip(self._items, value, strict=True):
                dumped.append(shape.dump(each))
        except PayloadError as error:
            raise deeper(error, f"[{len(dumped)}]") from None
        return dumped

    def load(self, raw: Any, loader: Loader) -> Any:
        """Make the tuple again."""
        if type(raw) is not list:
            mismatch(raw, self)
        if len(raw) != len(self._items):
            raise PayloadMismatchError(f"is an array of {len(raw)}, which is no {self}")
        loaded = []
        try:
            for shape, each in zip(self._items, raw, strict=True):
                loaded.append(shape.load(each, loader))
        except PayloadError as error:
            raise deeper(error, f"[{len(loaded)}]") from error.__cause__
        return tuple(loaded)

    def __str__(self) -> str:
        return f"tuple[{', '.join(map(str, self._items)) or '()'}]"


class Dict(Shape):
    """A dict whose keys are written as text."""

    types = (dict,)
    kinds = frozenset({dict})

    def __init__(self, key: Shape, item: Shape) -> None:
        self._key = key
        self._item = item

    def dump(self, value: Any) -> Any:
        """Return a dict of what is written for keys and values."""
        if type(value) is not dict:
            misfit(value, self)
        dumped = {}
        key = None
        try:
            for key, each in value.items():
                dumped[self._key.dump(key)] = self._item.dump(each)
        except PayloadError as error:
            raise deeper(error, f"[{key!r:.50}]") from None
        return dumped

    def load(self, raw: Any, loader: Loader) -> Any:
        """Make the dict again."""
        if type(raw) is not dict:
            mismatch(raw, self)
        loaded = {}
        key = None
        try:
            for key, each in raw.items():
                loaded[self._key.load(key, loader)] = self._item.load(each, loader)
        except PayloadError as error:
            raise deeper(error, f"[{key!r:.50}]") from error.__cause__
        return loaded

    def __str__(self) -> str:
        return f"dict[{self._key}, {self._item}]"


class Pairs(Shape):
    """A dict whose keys are no text, as an array of pairs."""

    types = (dict,)
    kinds = frozenset({list})

    def __init__(self, key: Shape, item: Shape) -> None:
        self._pair = TupleShape([key, item])
        self._name = f"dict[{key}, {item}]"

    def dump(self, value: Any) -> Any:
        """Return a list of pairs."""
        if type(value) is not dict:
            misfit(value, self)
        return dump_all(self._pair, value.items())

    def load(self, raw: Any, loader: Loader) -> Any:
        """Make the dict again."""
        if type(raw) is not list:
            mismatch(raw, self)
        pairs = load_all(self._pair, raw, loader)
        try:
            return dict(pairs)
        except TypeError as error:
            raise PayloadMismatchError(f"has keys that no {self} can have") from error

    def __str__(self) -> str:
        return self._name


class Either(Shape):
    """What an abstract ``Sequence`` or ``Set`` can be: the usual type, or the other by its name.

    Args:
        usual: Written as an array: list or set.
        other: Written as ``{"tuple": […]}`` or ``{"frozenset": […]}``.
    """

    kinds = frozenset({list, dict})

    def __init__(self, usual: Shape, other: Shape) -> None:
        self._usual = usual
        self._other = other
        (self._other_type,) = other.types
        self.types = (*usual.types, *other.types)

    def dump(self, value: Any) -> Any:
        """Return an array, or an object around one."""
        if type(value) is self._other_type:
            return {self._other_type.__name__: self._other.dump(value)}
        return self._usual.dump(value) if type(value) in self.types else misfit(value, self)

    def load(self, raw: Any, loader: Loader) -> Any:
        """Make the collection again."""
        if type(raw) is not dict:
            return self._usual.load(raw, loader)
        if set(raw) != {self._other_type.__name__}:
            mismatch(raw, self)
        return self._other.load(raw[self._other_type.__name__], loader)

    def __str__(self) -> str:
        return f"{self._usual} | {self._other}"
