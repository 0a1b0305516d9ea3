"""Shapes of enums and of ``Literal``."""

from __future__ import annotations

from enum import Enum, Flag
from typing import Any

from aldis.durable.codec.shape import Loader, Shape, misfit, mismatch
from aldis.errors import PayloadError, PayloadMismatchError, PayloadTypeError

__all__ = ["EnumShape", "FlagShape", "LiteralShape"]


class EnumShape(Shape):
    """The members of an enum: by value if all are ``str`` or ``int``, by name otherwise."""

    def __init__(self, enum: type[Enum]) -> None:
        self.types = (enum,)
        self._enum = enum
        by_value = all(type(each.value) in (str, int) for each in enum)
        self._written = {each: each.value if by_value else each.name for each in enum}
        self._members = {written: each for each, written in self._written.items()}
        self.kinds = frozenset(map(type, self._members))

    def dump(self, value: Any) -> Any:
        """Return the member's value or name."""
        if type(value) is not self._enum:
            misfit(value, self)
        return self._written[value]

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Return the member of that value or name."""
        if type(raw) not in self.kinds:
            mismatch(raw, self)
        try:
            return self._members[raw]
        except KeyError as error:
            raise PayloadMismatchError(f"is {raw!r:.50}, which is no {self}") from error

    def __str__(self) -> str:
        return self._enum.__qualname__


class FlagShape(Shape):
    """The members of a flag and their combinations, as a number."""

    kinds = frozenset({int})

    def __init__(self, flag: type[Flag]) -> None:
        self.types = (flag,)
        self._flag = flag

    def dump(self, value: Any) -> Any:
        """Return the number."""
        if type(value) is not self._flag:
            misfit(value, self)
        return int(value.value)

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Return the member or combination of that number."""
        if type(raw) is not int:
            mismatch(raw, self)
        try:
            value = self._flag(raw)
        except ValueError as error:
            raise PayloadMismatchError(f"is {raw}, which is no {self}") from error
        if type(value) is not self._flag or value.value != raw:
            raise PayloadMismatchError(f"is {raw}, which is no {self}")
        return value

    def __str__(self) -> str:
        return self._flag.__qualname__


class LiteralShape(Shape):
    """One of a few values: ``None``, ``bool``, ``int`` or ``str``."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        for each in values:
            if type(each) not in (type(None), bool, int, str):
                message = f"Literal[{each}] is no None, bool, int or str: declare its type"
                raise PayloadTypeError(message)
        self._values = values
        # With their types: True would be 1.
        self._known = {(type(each), each) for each in values}
        self.types = tuple(dict.fromkeys(type(each) for each in values))
        self.kinds = frozenset(self.types)

    def dump(self, value: Any) -> Any:
        """Return the value itself."""
        if type(value) not in self.kinds:
            misfit(value, self)
        if (type(value), value) not in self._known:
            raise PayloadError(f"is none of {self}")
        return value

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Return the value itself."""
        if type(raw) not in self.kinds:
            mismatch(raw, self)
        if (type(raw), raw) not in self._known:
            raise PayloadMismatchError(f"is {raw!r:.50}, which is none of {self}")
        return raw

    def __str__(self) -> str:
        return f"Literal[{', '.join(map(repr, self._values))}]"
