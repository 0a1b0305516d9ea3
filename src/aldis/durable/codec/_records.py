"""The codecs of objects with named fields."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

import msgspec

from aldis.core.process import cached_property
from aldis.durable.codec._codecs import Loader, TypeCodec, type_codec
from aldis.durable.codec._errors import at_step, with_article
from aldis.errors import PayloadError, PayloadMismatchError, PayloadTypeError

_MISSING = object()

_encode = msgspec.json.Encoder().encode


class Field(NamedTuple):
    """A named value.

    Attributes:
        codec: The codec of its values.
        required: Whether there must be a value.
        parameter: The constructor's parameter, or ``None`` if there is none.
    """

    codec: TypeCodec
    required: bool
    parameter: str | None = None


class Fields(dict[str, Field]):
    """Fields by name. They are added later, because a field can have the record's type."""

    @cached_property
    def required(self) -> frozenset[str]:
        """The names of the fields that must have a value."""
        return frozenset(name for name, each in self.items() if each.required)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The constructor's parameters by the names of their fields."""
        return {name: each.parameter for name, each in self.items() if each.parameter is not None}

    @cached_property
    def is_direct(self) -> bool:
        """Whether each field's parameter has the field's name."""
        return all(name == each.parameter for name, each in self.items())

    @cached_property
    def loads(self) -> list[tuple[str, Callable[[Any, Loader], Any]]]:
        """The names of the fields, and the functions that read their values."""
        return [(name, each.codec.load) for name, each in self.items()]

    def load(self, raw: dict[str, Any], loader: Loader) -> dict[str, Any]:
        """Return the values in a JSON object. Unknown names are left out."""
        values = {}
        name = ""
        try:
            for name, load in self.loads:
                if name in raw:
                    values[name] = load(raw[name], loader)
        except PayloadError as error:
            raise at_step(error, f".{name}") from error.__cause__
        if len(values) < len(self):
            for name in sorted(self.required - values.keys()):
                raise PayloadMismatchError(f"has no {name!r}, which is now required")
        return values


def record(cls: Any, fields: Fields) -> TypeCodec:
    """Return the codec of a class with fields: a dataclass, attrs class, Struct or named tuple."""
    config = getattr(cls, "__struct_config__", None)
    tag = (config.tag_field, config.tag) if config and config.tag is not None else None

    def write(value: Any) -> Any:
        dumped = {} if tag is None else {tag[0]: tag[1]}
        name = ""
        try:
            for name, field in fields.items():
                dumped[name] = field.codec.dump(getattr(value, name))
        except PayloadError as error:
            raise at_step(error, f".{name}") from error.__cause__
        except AttributeError:
            raise PayloadError(f"has no {name!r}: it was never set") from None
        return dumped

    def parse(raw: Any, loader: Loader) -> Any:
        return _make(cls, fields, fields.load(raw, loader))

    return type_codec(cls, dict, write=write, parse=parse, tag=tag)


def _make(cls: Any, fields: Fields, values: dict[str, Any]) -> Any:
    """Call the constructor, so that the class's own checks run, and restore what it changes."""
    parameters = fields.parameters
    try:
        if fields.is_direct:
            made = cls(**values)
        else:
            made = cls(**{parameters[name]: values[name] for name in values if name in parameters})
        for name, value in values.items():
            if getattr(made, name, _MISSING) is not value:
                _set(made, name, value)
    except Exception as error:
        problem = f"its constructor raised {type(error).__name__}: {error}"
        raise PayloadMismatchError(f"is not a valid {cls.__qualname__}: {problem}") from error
    return made


def _set(made: Any, name: str, value: Any) -> None:
    if isinstance(made, tuple):
        raise TypeError(f"its constructor changes {name!r}")
    if isinstance(made, msgspec.Struct):
        msgspec.structs.force_setattr(made, name, value)
    else:
        object.__setattr__(made, name, value)


def check_constructor(cls: Any, fields: Fields) -> None:
    """Raise ``PayloadTypeError`` if the constructor needs more than the fields."""
    try:
        signature(cls).bind(**dict.fromkeys(fields.parameters.values()))
    except (TypeError, ValueError) as error:
        name = with_article(cls)
        message = f"is {name}, which its fields alone cannot make ({error})"
        raise PayloadTypeError(message) from error


def typed_dict(cls: Any, fields: Fields) -> TypeCodec:
    """Return the codec of a dict with known keys."""
    name = cls.__qualname__

    def write(value: Any) -> Any:
        for key in fields.required - value.keys():
            raise PayloadError(f"has no key {key!r}, which {name} requires")
        for key in value.keys() - fields.keys():
            raise PayloadError(f"has the key {key!r:.50}, which {name} does not have")
        dumped = {}
        key = ""
        try:
            for key, each in value.items():
                dumped[key] = fields[key].codec.dump(each)
        except PayloadError as error:
            raise at_step(error, f"[{key!r}]") from error.__cause__
        return dumped

    def parse(raw: Any, loader: Loader) -> Any:
        values = fields.load(raw, loader)
        return {key: values[key] for key in raw if key in values}

    return type_codec(dict, write=write, parse=parse, name=name)


def is_model(cls: Any) -> bool:
    """Tell whether a class is a pydantic model, without importing pydantic."""
    base = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return base is not None and issubclass(cls, base)


def model(cls: Any) -> TypeCodec:
    """Return the codec of a pydantic model.

    A model can write something that it cannot read. So each value is read back before it is
    recorded. All fields of the model that arrives can count as set.
    """
    name = cls.__qualname__
    # By name, if pydantic can (from 2.11 on): the aliases for writing and reading can differ.
    by_name = "by_name" in signature(cls.model_validate_json).parameters
    options = {"by_name": True, "by_alias": False} if by_name else {}

    def write(value: Any) -> Any:
        try:
            text = value.model_dump_json(by_alias=not by_name, round_trip=True, warnings=False)
            is_unchanged = _same(value, cls.model_validate_json(text, **options))
        except Exception as error:
            message = f"is {with_article(name)} that cannot be written and read ({error})"
            raise PayloadError(message) from error
        if not is_unchanged:
            raise PayloadError(f"is {with_article(name)} that JSON would change")
        return msgspec.Raw(text.encode())

    def parse(raw: Any, _loader: Loader) -> Any:
        try:
            return cls.model_validate_json(_encode(raw), **options)
        except Exception as error:
            raise PayloadMismatchError(f"is not a valid {name}: {error}") from error

    codec = type_codec(cls, dict, write=write, parse=parse)
    if getattr(cls, "__pydantic_root_model__", False):
        codec.kinds = frozenset({type(None), bool, int, float, str, list, dict})
        codec.load = parse
    return codec


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values and all their parts are equal and of equal types."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, (list, tuple)):
        return all(map(_same, one, other))
    if isinstance(one, dict):
        return _same([*one.items()], [*other.items()])
    if isinstance(one, (set, frozenset)):
        return {(type(each), each) for each in one} == {(type(each), each) for each in other}
    return not is_model(type(one)) or _same(vars(one), vars(other))
