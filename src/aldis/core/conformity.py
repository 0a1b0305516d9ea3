"""Tells whether a value may have an annotated type. What cannot be checked counts as fitting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import FunctionType, UnionType
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from aldis._compat import is_protocol

__all__ = ["UNKNOWN", "fits", "fits_some_class", "resolve_annotation", "type_name"]

#: The type of a parameter whose annotation is missing or cannot be resolved. Everything fits it.
UNKNOWN: Any = Any


def resolve_annotation(function: Callable[..., Any], name: str) -> Any:
    """Return the type of the parameter ``name``; ``UNKNOWN`` if it cannot be resolved.

    The other annotations of the function do not matter. One of them may name a type that only type
    checkers import.
    """
    annotations = getattr(function, "__annotations__", {})
    if name not in annotations or not isinstance(function, FunctionType):
        return UNKNOWN
    alone = FunctionType(function.__code__, function.__globals__)
    alone.__annotations__ = {name: annotations[name]}
    try:
        return get_type_hints(alone)[name]
    except Exception:  # noqa: BLE001 - resolving an annotation runs code of the user
        return UNKNOWN


def fits(value: Any, expected: Any) -> bool:
    """Tell whether ``value`` may have the type ``expected``."""
    expected = _simplified(expected)
    for kinds, check in _CHECKS:
        if get_origin(expected) in kinds:
            return check(value, get_args(expected))
    if expected is None:
        return value is None
    expected = get_origin(expected) or expected
    if not isinstance(expected, type) or is_protocol(expected):
        return True
    # PEP 484 accepts an int as a float, and a float as a complex number.
    accepted = {float: (int, float), complex: (int, float, complex)}.get(expected, expected)
    try:
        return isinstance(value, accepted)
    except Exception:  # noqa: BLE001 - a metaclass may raise anything
        return True


def fits_some_class(expected: type[Any]) -> bool:
    """Tell whether a class may be an instance of ``expected``."""
    return fits(type, expected) or type in expected.__mro__


def type_name(expected: Any) -> str:
    """Return the name of a type for a message."""
    return expected.__qualname__ if isinstance(expected, type) else str(expected)


def _simplified(expected: Any) -> Any:
    """Return the type behind a ``NewType``, a type variable or an alias."""
    for _ in range(100):  # a type alias may refer to itself
        if isinstance(expected, NewType):
            expected = expected.__supertype__
        elif isinstance(expected, TypeVar):
            expected = _upper_bound(expected)
        elif type(expected).__name__ == "TypeAliasType":  # Python 3.12
            expected = expected.__value__
        else:
            return expected
    return UNKNOWN


def _upper_bound(variable: TypeVar) -> Any:
    if variable.__constraints__:
        return Union[variable.__constraints__]  # noqa: UP007 - a union of a tuple
    return UNKNOWN if variable.__bound__ is None else variable.__bound__


def _fits_any(value: Any, options: Iterable[Any]) -> bool:
    return any(map(partial(fits, value), options))


def _fits_literal(value: Any, options: Iterable[Any]) -> bool:
    return any(type(value) is type(each) and value == each for each in options)


def _fits_class(value: Any, options: tuple[Any, ...]) -> bool:
    """Check ``type[X]``: the value is a class, and a subclass of X."""
    if not isinstance(value, type):
        return False
    expected = _simplified(options[0])
    if get_origin(expected) in (Union, UnionType):
        return any(_fits_class(value, (each,)) for each in get_args(expected))
    expected = get_origin(expected) or expected
    if not isinstance(expected, type) or is_protocol(expected):
        return True
    try:
        return issubclass(value, expected)
    except Exception:  # noqa: BLE001 - a metaclass may raise anything
        return True


_CHECKS: tuple[tuple[tuple[Any, ...], Callable[[Any, Any], bool]], ...] = (
    ((Union, UnionType), _fits_any),
    ((Literal,), _fits_literal),
    ((type,), _fits_class),
)
