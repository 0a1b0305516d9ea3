"""Find the codec for an annotation."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections import abc
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from inspect import Parameter, get_annotations, signature, unwrap
from types import UnionType
from typing import Any, Final, Literal, LiteralString, NamedTuple, Union, get_args, get_origin

import msgspec

from aldis.durable.codec import _codecs, _records
from aldis.durable.codec._codecs import SCALARS, TypeCodec
from aldis.durable.codec._errors import at_step, type_name
from aldis.durable.codec._records import Field, Fields
from aldis.durable.codec._rows import mapper_of, row
from aldis.errors import PayloadTypeError

#: Stands for an annotation that is missing.
MISSING: Final = object()

#: The most levels of an annotation. One that contains itself has no end.
MAX_DEPTH: Final = 100

#: The types that a collection's annotation accepts. A read-only one accepts two.
_COLLECTIONS: Final[dict[Any, tuple[type, ...]]] = {
    list: (list,),
    set: (set,),
    frozenset: (frozenset,),
    abc.MutableSequence: (list,),
    abc.Sequence: (list, tuple),
    abc.Set: (set, frozenset),
}


#: The name of each field, whether it is required, and its constructor parameter.
_Parts = list[tuple[str, bool, str | None]]


class Unresolved(NamedTuple):
    """An annotation that names something that does not exist at run time."""

    text: object
    error: Exception

    def __str__(self) -> str:
        return f"{self.text}, which cannot be resolved at run time ({self.error})"


def hints_of(annotated: Any) -> Mapping[str, Any]:
    """Return the annotations of a callable or a class by name, each resolved or ``Unresolved``."""
    if not isinstance(annotated, type):
        while isinstance(annotated, partial):
            annotated = annotated.func
        annotated = unwrap(annotated)
        if not hasattr(annotated, "__annotations__"):
            annotated = type(annotated).__call__
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except Exception:  # noqa: BLE001 - resolving an annotation runs the user's code
        return _one_by_one(annotated)


def _one_by_one(annotated: Any) -> Mapping[str, Any]:
    hints: dict[str, Any] = {}
    for owner in reversed(annotated.__mro__) if isinstance(annotated, type) else [annotated]:
        module = sys.modules.get(getattr(owner, "__module__", ""))
        names = getattr(owner, "__globals__", None) or getattr(module, "__dict__", {})
        for name, annotation in get_annotations(owner).items():
            hints[name] = _resolve(annotation, names)
    return hints


def _resolve(annotation: Any, names: dict[str, Any]) -> Any:
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    try:
        return typing.get_type_hints(holder, names, include_extras=True)["it"]
    except RecursionError:  # The resolver has a better message for that.
        return annotation
    except Exception as error:  # noqa: BLE001 - resolving an annotation runs the user's code
        return Unresolved(annotation, error)


def sender_hint(function: Callable[..., Any]) -> Any:
    """Return the annotation of the first parameter, or ``None`` if there is none."""
    try:
        first = next(iter(signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return None
    if first is None or first.kind in (Parameter.VAR_KEYWORD, Parameter.KEYWORD_ONLY):
        return None
    return hints_of(function).get(first.name)


def bare(hint: Any) -> Any:
    """Return an annotation without its metadata, and the type that an alias stands for."""
    for _ in range(MAX_DEPTH):
        if get_origin(hint) is typing.Annotated:
            hint = hint.__origin__
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":  # of typing or of typing_extensions
            hint = hint.__value__
        else:
            break
    return hint


class TypeResolver:
    """Finds the codecs for the annotations of one signal."""

    def __init__(self) -> None:
        self._classes: dict[Any, TypeCodec] = {}
        self._fields: dict[Any, Fields] = {}
        self._depth = 0

    def codec(self, hint: Any) -> TypeCodec:
        """Return the codec for a resolved annotation."""
        if self._depth >= MAX_DEPTH:
            raise PayloadTypeError("has a type that contains itself without end")
        self._depth += 1
        try:
            return self._codec(bare(hint))
        finally:
            self._depth -= 1

    def fields(self, hint: Any) -> Fields | None:
        """Return the fields of a class with fields, or ``None`` for another type."""
        if isinstance(hint, type) and get_origin(hint) is None:
            self.codec(hint)
        return self._fields.get(hint)

    def _codec(self, hint: Any) -> TypeCodec:  # noqa: PLR0911 - one for each kind of annotation
        if isinstance(hint, Unresolved):
            raise PayloadTypeError(f"is {hint}") from hint.error
        if hint is None or hint is LiteralString:
            return SCALARS[str if hint else type(None)]
        origin, args = get_origin(hint), get_args(hint)
        if isinstance(hint, type) and origin is None:
            return SCALARS.get(hint) or self._classes.get(hint) or self._class(hint)
        if origin is Literal:
            return _literal(args)
        if origin in (Union, UnionType):
            return _codecs.union([self.codec(each) for each in args])
        if origin is tuple and args[1:] != (...,):
            return _codecs.fixed_tuple([self.codec(each) for each in args])
        if origin is tuple:
            return _codecs.array(tuple, self.codec(args[0]))
        if origin in _COLLECTIONS and args:
            item = self.codec(args[0])
            usual, *other = [_codecs.array(each, item) for each in _COLLECTIONS[origin]]
            return _codecs.union([usual, *map(_codecs.named_array, other)])
        if origin in (dict, Mapping, abc.MutableMapping) and args:
            return _codecs.dictionary(*map(self.codec, args))
        raise _unknown(hint)

    def _class(self, cls: Any) -> TypeCodec:
        mapper = mapper_of(cls)
        if mapper is not None:
            codec = row(cls, mapper)
        elif _records.is_model(cls):
            codec = _records.model(cls)
        elif issubclass(cls, Enum):
            codec = _codecs.enum(cls)
        else:
            return self._record(cls)
        return self._classes.setdefault(cls, codec)

    def _record(self, cls: Any) -> TypeCodec:
        is_dict = issubclass(cls, dict) and hasattr(cls, "__total__")
        parts = _keys(cls) if is_dict else _parts(cls)
        if parts is None:
            raise _unknown(cls)
        fields = self._fields[cls] = Fields()
        codec = self._classes[cls] = (_records.typed_dict if is_dict else _records.record)(
            cls, fields
        )
        try:
            fields.update(self._resolved(cls, parts))
            if not is_dict:
                _records.check_constructor(cls, fields)
        except PayloadTypeError:
            del self._classes[cls], self._fields[cls]
            raise
        return codec

    def _resolved(self, cls: Any, parts: _Parts) -> Iterator[tuple[str, Field]]:
        hints = hints_of(cls)
        for name, required, parameter in parts:
            hint = hints.get(name, MISSING)
            if get_origin(hint) in (typing.Required, typing.NotRequired):
                hint = hint.__args__[0]
            try:
                yield name, Field(self.codec(hint), required, parameter)
            except PayloadTypeError as error:
                raise at_step(error, f".{name}") from error.__cause__


def _keys(cls: Any) -> _Parts:
    """Return the name of each key, and whether it is required."""
    # __required_keys__ does not know the marks in annotations that are strings.
    marks = {name: get_origin(hint) for name, hint in hints_of(cls).items()}
    known = cls.__required_keys__
    return [
        (name, mark is typing.Required or (mark is not typing.NotRequired and name in known), None)
        for name, mark in marks.items()
    ]


def _parts(cls: Any) -> _Parts | None:
    """Return the name of each field, whether it is required, and its constructor parameter."""
    if issubclass(cls, msgspec.Struct) and cls is not msgspec.Struct:
        return [(each.name, each.required, each.name) for each in msgspec.structs.fields(cls)]
    if hasattr(cls, "__attrs_attrs__"):
        nothing = sys.modules["attr"].NOTHING
        return [
            (each.name, each.default is nothing and each.init, each.alias if each.init else None)
            for each in cls.__attrs_attrs__
        ]
    if dataclasses.is_dataclass(cls):
        none = dataclasses.MISSING
        return [
            (
                each.name,
                each.init and each.default is each.default_factory is none,
                each.name if each.init else None,
            )
            for each in dataclasses.fields(cls)
        ]
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return [(name, name not in cls._field_defaults, name) for name in cls._fields]
    return None


def _literal(values: tuple[Any, ...]) -> TypeCodec:
    for each in values:
        if type(each) not in (type(None), bool, int, str):
            message = f"has the value {each!r} in Literal, which is not None, a bool, int or str"
            raise PayloadTypeError(message)
    name = f"Literal[{', '.join(map(repr, values))}]"
    return _codecs.choice(name, [(each, each) for each in values])


def _unknown(hint: Any) -> PayloadTypeError:
    if hint is MISSING:
        return PayloadTypeError("has no annotation")
    name = type_name(hint)
    if hint is Any or hint is object:
        return PayloadTypeError(f"is {name}, which can be anything")
    if hint in (list, set, frozenset, tuple, dict) or hint in _COLLECTIONS:
        return PayloadTypeError(f"is {name} without the type of its values: declare it")
    return PayloadTypeError(f"is {name}, which cannot be encoded")
