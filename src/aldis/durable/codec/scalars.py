"""Shapes of single values: numbers, text, bytes, UUIDs, and plain JSON."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any, Final, NoReturn
from uuid import UUID

from aldis.durable.codec.shape import Loader, Shape, deeper, misfit, mismatch, name_of_type
from aldis.errors import PayloadError, PayloadMismatchError

__all__ = ["INT", "SCALARS", "STR", "Float", "Int", "Json", "Plain", "Written"]

#: Python itself refuses to write or read much longer ones as text.
HUGE: Final = 10**1000


class Plain(Shape):
    """Values that JSON has itself: ``None``, ``bool`` and ``str``."""

    def __init__(self, kind: type) -> None:
        self.types = (kind,)
        self.kinds = frozenset({kind})
        self._kind = kind

    def dump(self, value: Any) -> Any:
        """Return the value itself."""
        if type(value) is not self._kind:
            misfit(value, self)
        return value

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Return the value itself."""
        if type(raw) is not self._kind:
            mismatch(raw, self)
        return raw

    def __str__(self) -> str:
        return "None" if self._kind is type(None) else self._kind.__name__


class Int(Plain):
    """Whole numbers; ``True`` is none."""

    def __init__(self) -> None:
        super().__init__(int)

    def dump(self, value: Any) -> Any:
        """Return the value itself."""
        if type(value) is not int:
            misfit(value, self)
        if not -HUGE < value < HUGE:
            raise PayloadError("is an int of more than 1,000 digits: send it as bytes or str")
        return value


class Float(Shape):
    """Floating-point numbers, and whole ones too, as type checkers have it: they stay ``int``."""

    types = (float, int)
    kinds = frozenset({float, int})

    def dump(self, value: Any) -> Any:
        """Return the value itself."""
        if type(value) is float:
            if not isfinite(value):
                raise PayloadError(f"is the float {value}, which JSON cannot express: send None")
            return value
        return INT.dump(value) if type(value) is int else misfit(value, self)

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Return the value itself."""
        if type(raw) is not float and type(raw) is not int:
            mismatch(raw, self)
        return raw

    def __str__(self) -> str:
        return "float"


class Written(Shape):
    """Values of a type that are written as text and read from it.

    Args:
        kind: The type.
        write: Makes text of a value.
        read: Makes a value of its text, or raises ``ValueError``, ``ArithmeticError`` or
            ``TypeError``.
    """

    kinds = frozenset({str})

    def __init__(self, kind: type, write: Callable[[Any], str], read: Callable[[str], Any]) -> None:
        self.types = (kind,)
        self._kind = kind
        self._write = write
        self._read = read

    def dump(self, value: Any) -> Any:
        """Return the value's text."""
        if type(value) is not self._kind:
            misfit(value, self)
        return self._write(value)

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Read the text."""
        if type(raw) is not str:
            mismatch(raw, self)
        try:
            return self._read(raw)
        except (ValueError, ArithmeticError, TypeError) as error:
            raise PayloadMismatchError(f"is a string that is no {self}") from error

    def __str__(self) -> str:
        return self._kind.__name__


class Json(Shape):
    """Values of no declared type: exactly what JSON has, and nothing that it only resembles."""

    def dump(self, value: Any) -> Any:
        """Return the value itself."""
        kind = type(value)
        if kind is str or kind is bool or value is None:
            return value
        if kind is int or kind is float:
            return FLOAT.dump(value)
        step = ""
        try:
            if kind is list:
                for index, each in enumerate(value):
                    step = f"[{index}]"
                    self.dump(each)
            elif kind is dict:
                for key, each in value.items():
                    step = f"[{key!r:.50}]" if type(key) is str else " among its keys"
                    STR.dump(key)
                    self.dump(each)
            else:
                _no_json(kind)
        except PayloadError as error:
            raise deeper(error, step) from None
        return value

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Return the value itself."""
        return raw

    def __str__(self) -> str:
        return "JSON value"


def _no_json(kind: type) -> NoReturn:
    raise PayloadError(
        f"is of type {name_of_type(kind)}, and none is declared: so only None, bool, int, float, "
        "str, list and dict can travel"
    )


def _read_bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


def _write_bytes(value: bytes) -> str:
    return b64encode(value).decode()


INT: Final = Int()
FLOAT: Final = Float()
STR: Final = Plain(str)

SCALARS: Final[dict[Any, Shape]] = {
    type(None): Plain(type(None)),
    bool: Plain(bool),
    int: INT,
    float: FLOAT,
    str: STR,
    bytes: Written(bytes, _write_bytes, _read_bytes),
    Decimal: Written(Decimal, str, Decimal),
    UUID: Written(UUID, str, UUID),
}
