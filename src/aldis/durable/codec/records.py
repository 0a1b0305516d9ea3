"""Shapes of objects with named fields: dataclasses, attrs classes, Structs, tuples, typed dicts."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, NotRequired, Required, get_origin

import msgspec

from aldis.durable.codec.hints import MISSING, hints_of
from aldis.durable.codec.shape import Loader, Shape, deeper, misfit, mismatch
from aldis.errors import PayloadError, PayloadMismatchError, PayloadTypeError

__all__ = ["Field", "Record", "TypedDictRecord", "field_hints", "is_record", "is_typed_dict"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    Attributes:
        name: The attribute's or key's name, also in JSON.
        shape: How its values travel.
        required: Whether a record cannot be made without it.
        argument: The constructor's argument, ``None`` if it has none for this field.
    """

    name: str
    shape: Shape
    required: bool
    argument: str | None


class Record(Shape):
    """The instances of a class with fields, exactly of this class.

    Its fields travel and nothing else, as when two of them are compared. What is read is made by
    the constructor, so that the class's own checks run; a field that the constructor has changed,
    or does not take, is then set to what was recorded.

    Args:
        cls: The class.
    """

    kinds = frozenset({dict})
    fields: list[Field]

    def __init__(self, cls: type) -> None:
        self.types = (cls,)
        self._cls = cls
        self._set: Callable[[Any, str, Any], None] = object.__setattr__
        if issubclass(cls, msgspec.Struct):
            self._set = msgspec.structs.force_setattr
            config = cls.__struct_config__
            if config.tag_field is not None and config.tag is not None:
                self.tag = (config.tag_field, config.tag)
        elif issubclass(cls, tuple):
            self._set = _refuse_to_set
        self.fields = []

    def read_fields(self, shape_of: Callable[[Any], Shape]) -> None:
        """Find the shapes of the fields. Not when made: a field may be of this very class."""
        self.fields = [*_fields(self._cls, shape_of)]
        arguments = {each.argument: None for each in self.fields if each.argument is not None}
        try:
            signature(self._cls).bind(**arguments)
        except (TypeError, ValueError) as error:
            raise PayloadTypeError(f"{self} cannot be made from its fields ({error})") from error

    def dump(self, value: Any) -> Any:
        """Return a dict of what is written for the fields."""
        if type(value) is not self._cls:
            misfit(value, self)
        dumped: dict[str, Any] = dict([self.tag] if self.tag else [])
        for field in self.fields:
            try:
                dumped[field.name] = field.shape.dump(_get(value, field.name))
            except PayloadError as error:
                raise deeper(error, f".{field.name}") from None
        return dumped

    def load(self, raw: Any, loader: Loader) -> Any:
        """Make the object again; keys that are no fields (any more) are left out."""
        if type(raw) is not dict:
            mismatch(raw, self)
        values = load_fields(self.fields, raw, loader)
        arguments = {
            field.argument: values[field.name]
            for field in self.fields
            if field.argument is not None and field.name in values
        }
        try:
            made = self._cls(**arguments)
            for name, value in values.items():
                if getattr(made, name, Parameter.empty) is not value:
                    self._set(made, name, value)
        except Exception as error:
            message = f"is no {self}: making it raised {type(error).__name__}: {error}"
            raise PayloadMismatchError(message) from error
        return made

    def __str__(self) -> str:
        return self._cls.__qualname__


class TypedDictRecord(Shape):
    """A dict with known keys."""

    types = (dict,)
    kinds = frozenset({dict})
    fields: list[Field]

    def __init__(self, cls: type) -> None:
        self._cls: Any = cls
        self.fields = []
        self._by_name: dict[str, Field] = {}

    def read_fields(self, shape_of: Callable[[Any], Shape]) -> None:
        """Find the shapes of the keys. Not when made: one may be of this very type."""
        required = _required_keys(self._cls)
        for name, hint in field_hints(self._cls):
            with_hint = _field_shape(name, hint, shape_of)
            self._by_name[name] = Field(name, with_hint, name in required, name)
        self.fields = [*self._by_name.values()]

    def dump(self, value: Any) -> Any:
        """Return a dict of what is written for the keys."""
        if type(value) is not dict:
            misfit(value, self)
        for field in self.fields:
            if field.required and field.name not in value:
                raise PayloadError(f"has no key {field.name!r}, which {self} requires")
        dumped = {}
        for key, each in value.items():
            if key not in self._by_name:
                raise PayloadError(f"has the key {key!r:.50}, which {self} does not have")
            try:
                dumped[key] = self._by_name[key].shape.dump(each)
            except PayloadError as error:
                raise deeper(error, f"[{key!r}]") from None
        return dumped

    def load(self, raw: Any, loader: Loader) -> Any:
        """Make the dict again; keys that it does not have (any more) are left out."""
        if type(raw) is not dict:
            mismatch(raw, self)
        values = load_fields(self.fields, raw, loader)
        return {name: values[name] for name in raw if name in values}

    def __str__(self) -> str:
        return str(self._cls.__qualname__)


def load_fields(fields: list[Field], raw: dict[str, Any], loader: Loader) -> dict[str, Any]:
    """Load the fields that ``raw`` has; those that it may not lack must be there."""
    values: dict[str, Any] = {}
    for field in fields:
        if field.name in raw:
            try:
                values[field.name] = field.shape.load(raw[field.name], loader)
            except PayloadError as error:
                raise deeper(error, f".{field.name}") from error.__cause__
        elif field.required:
            raise PayloadMismatchError(f"has no {field.name!r}, which is required by now")
    return values


def is_typed_dict(hint: Any) -> bool:
    """Tell whether ``hint`` is a ``TypedDict``, of ``typing`` or of ``typing_extensions``."""
    return isinstance(hint, type) and issubclass(hint, dict) and hasattr(hint, "__total__")


def is_record(hint: Any) -> bool:
    """Tell whether ``hint`` is a class with fields that can be read."""
    if not isinstance(hint, type):
        return False
    return (
        dataclasses.is_dataclass(hint)
        or hasattr(hint, "__attrs_attrs__")
        or (issubclass(hint, msgspec.Struct) and hint is not msgspec.Struct)
        or (issubclass(hint, tuple) and hasattr(hint, "_fields"))
    )


def field_hints(cls: Any) -> list[tuple[str, Any]]:
    """Return the names and hints of a typed dict's keys, without ``Required`` around them."""
    return [(name, _without_mark(hint)) for name, hint in hints_of(cls).items()]


def _without_mark(hint: Any) -> Any:
    return hint.__args__[0] if get_origin(hint) in (Required, NotRequired) else hint


def _required_keys(cls: Any) -> set[str]:
    # __required_keys__ alone does not see the marks in annotations that are strings.
    marks = {name: get_origin(hint) for name, hint in hints_of(cls).items()}
    return {
        name
        for name, mark in marks.items()
        if mark is Required or (mark is not NotRequired and name in cls.__required_keys__)
    }


def _fields(cls: Any, shape_of: Callable[[Any], Shape]) -> list[Field]:
    hints = hints_of(cls)
    return [
        Field(name, _field_shape(name, hints.get(name, MISSING), shape_of), required, argument)
        for name, required, argument in _named(cls)
    ]


def _named(cls: Any) -> list[tuple[str, bool, str | None]]:
    """Return the name, whether it is required, and the argument of each field."""
    if issubclass(cls, msgspec.Struct):
        return [(each.name, each.required, each.name) for each in msgspec.structs.fields(cls)]
    if hasattr(cls, "__attrs_attrs__"):
        nothing = sys.modules["attr"].NOTHING
        return [
            (each.name, each.default is nothing and each.init, each.alias if each.init else None)
            for each in cls.__attrs_attrs__
        ]
    if dataclasses.is_dataclass(cls):
        return [
            (
                each.name,
                each.init and each.default is each.default_factory is dataclasses.MISSING,
                each.name if each.init else None,
            )
            for each in dataclasses.fields(cls)
        ]
    defaults: Mapping[str, Any] = cls._field_defaults
    return [(name, name not in defaults, name) for name in cls._fields]


def _field_shape(name: str, hint: Any, shape_of: Callable[[Any], Shape]) -> Shape:
    try:
        return shape_of(hint)
    except PayloadTypeError as error:
        raise deeper(error, f".{name}") from error.__cause__


def _get(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        raise PayloadError(f"has no {name!r}: it was never set") from None


def _refuse_to_set(made: Any, name: str, value: Any) -> None:  # noqa: ARG001 - as setattr
    raise TypeError(f"its constructor changes {name!r}")
