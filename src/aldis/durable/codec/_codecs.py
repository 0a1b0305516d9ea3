"""The codecs of values: scalars, times, enums, collections and unions.

``dump`` checks a value and returns what msgspec encodes. ``load`` gets what msgspec decodes. If
msgspec knows the type of a larger collection, it converts the whole collection. A value that would
not arrive unchanged is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from functools import partial, reduce
from math import isfinite
from operator import or_
from typing import Any, Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import ValidationError, convert

from aldis.core.sender import is_proxy, real_sender
from aldis.durable.codec._errors import at_step, reject_raw, reject_value, type_name
from aldis.errors import PayloadError, PayloadTypeError, UnboundSenderError

#: Python itself refuses to write or read integers that are much longer.
HUGE: Final = 10**1000

#: A collection with more values is checked or converted at once. For fewer, a loop is faster.
FEW: Final = 6


class Loader(Protocol):
    """Gives the codecs the worker's app and its rows."""

    @property
    def app(self) -> Any:
        """The worker's app, or ``None``."""
        ...

    def load(self, model: type, identity: tuple[Any, ...]) -> Any | None:
        """Return the instance of a mapped class by its primary key, or ``None`` if it is gone."""
        ...


def _accepts_none(_values: Collection[Any]) -> bool:
    return False


@dataclass(eq=False, slots=True)
class TypeCodec:
    """Writes and reads the values of one type.

    Attributes:
        name: The type, for error messages.
        types: The Python types of the values.
        kinds: The JSON types that ``dump`` writes, as the Python types that msgspec decodes.
        dump: Returns what msgspec encodes for a value, or raises ``PayloadError``.
        load: Returns the value for a JSON value, or raises ``PayloadMismatchError`` or
            ``LostRowError``.
        wire: The type to which msgspec alone can convert the JSON values, if there is one.
        accepts_all: Tells quickly that ``dump`` would return each of several values unchanged.
        tag: The key and the value by which a union recognises the codec's JSON objects.
        takes_subclasses: Whether a value of a subclass is accepted.
    """

    name: str
    types: tuple[type, ...]
    kinds: frozenset[type]
    dump: Callable[[Any], Any]
    load: Callable[[Any, Loader], Any]
    wire: Any = None
    accepts_all: Callable[[Collection[Any]], bool] = _accepts_none
    tag: tuple[str, str | int] | None = None
    takes_subclasses: bool = False


def type_codec(
    kind: Any,
    raw_kind: type | None = None,
    *,
    write: Callable[[Any], Any] | None = None,
    parse: Callable[[Any, Loader], Any] | None = None,
    **more: Any,
) -> TypeCodec:
    """Return the codec of a class, which checks types before it calls ``write`` or ``parse``.

    Without ``write``, msgspec encodes the value. Without ``parse``, msgspec decodes it.
    """
    raw_kind = raw_kind or kind
    name, types, kinds = more.pop("name", type_name(kind)), (kind,), frozenset({raw_kind})
    if write is None:
        more = {"wire": kind, "accepts_all": partial(_are_all, kind), **more}

    def dump(value: Any) -> Any:
        if type(value) is not kind:
            reject_value(value, types, name)
        return value if write is None else write(value)

    def load(raw: Any, loader: Loader) -> Any:
        if type(raw) is not raw_kind:
            reject_raw(raw, kinds, name)
        if parse is None:
            return raw
        try:
            return parse(raw, loader)
        except PayloadError:
            raise
        except (ValidationError, ValueError, ArithmeticError, TypeError) as error:
            reject_raw(raw, kinds, name, error)

    return TypeCodec(name, types, kinds, dump, load, **more)


def behind_proxy(value: Any) -> Any:
    """Return the object behind a proxy such as ``current_user``, and any other value itself."""
    try:
        return real_sender(value) if is_proxy(value) else value
    except UnboundSenderError as error:
        kind = type(value).__name__
        raise PayloadError(f"is a {kind} that stands for no object here") from error


# -- scalars ---------------------------------------------------------------------------------------


def _are_all(kind: type, values: Collection[Any]) -> bool:
    return {kind}.issuperset(map(type, values))


def _dump_int(value: Any) -> Any:
    if type(value) is not int:
        reject_value(value, (int,), "int")
    if not -HUGE < value < HUGE:
        raise PayloadError("is an int of more than 1,000 digits: send it as bytes or str")
    return value


def _are_ints(values: Collection[Any]) -> bool:
    return _are_all(int, values) and (not values or -HUGE < min(values) <= max(values) < HUGE)


def _dump_float(value: Any) -> Any:
    if type(value) is not float:
        return _dump_int(value) if type(value) is int else reject_value(value, (float,), "float")
    if not isfinite(value):
        raise PayloadError(f"is the float {value}, which JSON cannot express: send None")
    return value


def _load_float(raw: Any, _loader: Loader) -> Any:
    kind = type(raw)
    return raw if kind is float or kind is int else reject_raw(raw, _NUMBER, "float")


def _dump_json(value: Any) -> Any:
    """Return a value without a declared type. It must be exactly of a type that JSON has."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int or kind is float:
        return _dump_float(value)
    if kind is list:
        return _JSON_ARRAY.dump(value)
    if kind is dict:
        return _JSON_OBJECT.dump(value)
    raise PayloadError(
        f"is of type {type_name(kind)}, and no type is declared: send None, bool, int, float, str, "
        "list or dict, or declare a type"
    )


def _write_datetime(value: datetime) -> str:
    """Return RFC 9557 with the zone's name: ``2026-03-01T12:00:00+01:00[Europe/Berlin]``."""
    if value.utcoffset() is None:
        raise PayloadError(
            "is a datetime without a zone, which means another instant elsewhere: send one with "
            "a zone, such as datetime.now(UTC)"
        )
    zone = value.tzinfo
    return value.isoformat() + (f"[{zone.key}]" if type(zone) is ZoneInfo and zone.key else "")


def _parse_datetime(text: str, _loader: Loader) -> datetime:
    text, bracket, name = text.partition("[")
    value = datetime.fromisoformat(text)
    if value.utcoffset() is None:
        raise ValueError("no offset")
    if not bracket:
        return value
    try:
        zone = ZoneInfo(name.removesuffix("]"))
    except (KeyError, OSError) as error:
        raise ValueError("not the name of a zone") from error
    for fold in (0, 1):
        local = value.replace(tzinfo=zone, fold=fold)
        if local.utcoffset() == value.utcoffset():
            return local
    return value.astimezone(zone)  # The zone's rules have changed. The instant stays.


def _write_time(value: time) -> str:
    if value.fold or (value.tzinfo is not None and value.utcoffset() is None):
        raise PayloadError(
            "is a time with a fold, or in a zone that has no offset without a date: send a "
            "datetime, or a time without a zone"
        )
    return value.isoformat()


def _write_timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _parse_timedelta(raw: list[int], _loader: Loader) -> timedelta:
    if [int, int, int] != [type(each) for each in raw]:
        raise TypeError("not three integers")
    return timedelta(*raw)


_NUMBER: Final = frozenset({float, int})

NONE: Final = type_codec(type(None))
STR: Final = type_codec(str)
INT: Final = TypeCodec(
    "int", (int,), frozenset({int}), _dump_int, type_codec(int).load, int, _are_ints
)
#: Type checkers accept an int for a float. It arrives as an int.
FLOAT: Final = TypeCodec("float", (float, int), _NUMBER, _dump_float, _load_float, int | float)
JSON: Final = TypeCodec("JSON", (), frozenset(), _dump_json, lambda raw, _: raw)

#: The codecs of the classes that have no arguments.
SCALARS: Final[dict[Any, TypeCodec]] = {
    type(None): NONE,
    bool: type_codec(bool),
    int: INT,
    float: FLOAT,
    str: STR,
    bytes: type_codec(bytes, str, parse=lambda raw, _: convert(raw, bytes)),
    # msgspec would make a Decimal of a number too.
    Decimal: type_codec(Decimal, str, parse=lambda raw, _: Decimal(raw), wire=None),
    UUID: type_codec(UUID, str, parse=lambda raw, _: convert(raw, UUID)),
    date: type_codec(date, str, parse=lambda raw, _: date.fromisoformat(raw)),
    datetime: type_codec(datetime, str, write=_write_datetime, parse=_parse_datetime),
    time: type_codec(time, str, write=_write_time, parse=lambda raw, _: time.fromisoformat(raw)),
    timedelta: type_codec(timedelta, list, write=_write_timedelta, parse=_parse_timedelta),
}


def choice(name: str, pairs: list[tuple[Any, Any]]) -> TypeCodec:
    """Return the codec of a few values, each with its JSON value."""
    # The types are part of the keys, because True equals 1.
    raws = {(type(value), value): raw for value, raw in pairs}
    values = {(type(raw), raw): value for value, raw in pairs}
    types = tuple(dict.fromkeys(type(value) for value, _ in pairs))
    kinds = frozenset(kind for kind, _ in values)

    def dump(value: Any) -> Any:
        if type(value) not in types:
            reject_value(value, types, name)
        if (type(value), value) not in raws:
            raise PayloadError(f"is not one of {name}")
        return raws[type(value), value]

    def load(raw: Any, _loader: Loader) -> Any:
        try:
            return values[type(raw), raw]
        except (KeyError, TypeError) as error:
            reject_raw(raw, kinds, name, error)

    return TypeCodec(name, types, kinds, dump, load)


def enum(cls: type[Enum]) -> TypeCodec:
    """Return the codec of an enum: by value if each value is a ``str`` or ``int``, else by name.

    A flag is written as a number, because it can combine several members.
    """
    if issubclass(cls, Flag):
        return type_codec(
            cls, int, write=lambda flag: int(flag.value), parse=partial(_parse_flag, cls)
        )
    by_value = all(type(each.value) in (str, int) for each in cls)
    return choice(type_name(cls), [(each, each.value if by_value else each.name) for each in cls])


def _parse_flag(cls: type[Flag], number: int, _loader: Loader) -> Flag:
    value = cls(number)
    if type(value) is not cls or value.value != number:
        raise ValueError("not a combination of its members")
    return value


# -- collections -----------------------------------------------------------------------------------


def array(kind: Any, item: TypeCodec) -> TypeCodec:
    """Return the codec of a list, tuple, set or frozenset of values of one type."""
    wire = item.wire and (kind[item.wire, ...] if kind is tuple else kind[item.wire])

    def write(value: Any) -> Any:
        if len(value) > FEW and item.accepts_all(value):
            return value
        dump = item.dump
        dumped: list[Any] = []
        try:
            for each in value:
                dumped.append(dump(each))  # noqa: PERF401 - its length is an error's index
        except PayloadError as error:
            raise at_step(error, f"[{len(dumped)}]") from None
        return dumped

    def parse(raw: Any, loader: Loader) -> Any:
        if wire is not None and len(raw) > FEW:
            with suppress(ValidationError):  # The loop finds the place of the error.
                return convert(raw, wire)
        load = item.load
        loaded: list[Any] = []
        try:
            for each in raw:
                loaded.append(load(each, loader))  # noqa: PERF401 - its length is an error's index
        except PayloadError as error:
            raise at_step(error, f"[{len(loaded)}]") from error.__cause__
        return loaded if kind is list else kind(loaded)

    name = f"{kind.__name__}[{item.name}{', ...' if kind is tuple else ''}]"
    return type_codec(kind, list, write=write, parse=parse, name=name, wire=wire)


def fixed_tuple(items: list[TypeCodec]) -> TypeCodec:
    """Return the codec of a tuple that has a type for each of its values."""
    name = f"tuple[{', '.join(each.name for each in items) or '()'}]"
    dumps, loads = [each.dump for each in items], [each.load for each in items]
    wires = tuple(each.wire for each in items)
    wire = tuple.__class_getitem__(wires) if None not in wires else None

    def write(value: Any) -> Any:
        if len(value) != len(dumps):
            raise PayloadError(f"is a tuple of {len(value)}, but {name} is declared")
        dumped: list[Any] = []
        try:
            for dump, each in zip(dumps, value, strict=True):
                dumped.append(dump(each))
        except PayloadError as error:
            raise at_step(error, f"[{len(dumped)}]") from None
        return dumped

    def parse(raw: Any, loader: Loader) -> Any:
        if len(raw) != len(loads):
            raise ValueError("another length")
        loaded: list[Any] = []
        try:
            for load, each in zip(loads, raw, strict=True):
                loaded.append(load(each, loader))
        except PayloadError as error:
            raise at_step(error, f"[{len(loaded)}]") from error.__cause__
        return tuple(loaded)

    return type_codec(tuple, list, write=write, parse=parse, name=name, wire=wire)


def named_array(item: TypeCodec) -> TypeCodec:
    """Return the codec of an array with the type's name around it: ``{"tuple": […]}``."""
    (kind,) = item.types
    key = kind.__name__

    def parse(raw: Any, loader: Loader) -> Any:
        if raw.keys() != {key}:
            raise ValueError("another name")
        return item.load(raw[key], loader)

    return type_codec(
        kind, dict, write=lambda value: {key: item.dump(value)}, parse=parse, name=item.name
    )


def dictionary(key: TypeCodec, item: TypeCodec) -> TypeCodec:
    """Return the codec of a dict: an object if its keys are written as text, else pairs."""
    name = f"dict[{key.name}, {item.name}]"
    if key.kinds == {str}:
        return _object(name, key, item)
    pairs = array(list, fixed_tuple([key, item]))
    return type_codec(
        dict,
        list,
        write=lambda value: pairs.dump([*value.items()]),
        parse=lambda raw, loader: dict(pairs.load(raw, loader)),
        name=name,
    )


def _object(declared: str, key: TypeCodec, item: TypeCodec) -> TypeCodec:
    wire = dict.__class_getitem__((str, item.wire)) if key is STR and item.wire else None

    def write(value: Any) -> Any:
        has_plain_keys = len(value) > FEW and key.accepts_all(value)
        if has_plain_keys and item.accepts_all(value.values()):
            return value
        dumped = {}
        name = None
        try:
            for name, each in value.items():
                dumped[name if has_plain_keys else key.dump(name)] = item.dump(each)
        except PayloadError as error:
            raise at_step(error, f"[{name!r:.50}]") from None
        return dumped

    def parse(raw: Any, loader: Loader) -> Any:
        if wire is not None and len(raw) > FEW:
            with suppress(ValidationError):  # The loop finds the place of the error.
                return convert(raw, wire)
        loaded = {}
        name = None
        try:
            for name, each in raw.items():
                loaded[name if key is STR else key.load(name, loader)] = item.load(each, loader)
        except PayloadError as error:
            raise at_step(error, f"[{name!r:.50}]") from error.__cause__
        return loaded

    return type_codec(dict, write=write, parse=parse, name=declared, wire=wire)


_JSON_ARRAY: Final = array(list, JSON)
_JSON_OBJECT: Final = dictionary(STR, JSON)


# -- unions ----------------------------------------------------------------------------------------


def union(members: list[TypeCodec]) -> TypeCodec:
    """Return the codec of a union, which tells its members apart by JSON type or by tag.

    Raises:
        PayloadTypeError: Two members look alike in JSON.
    """
    members = list(dict.fromkeys(members))
    if FLOAT in members and INT in members:
        members.remove(INT)
    if len(members) == 1:
        return members[0]
    name = " | ".join(each.name for each in members)
    by_type = {kind: each for each in members for kind in each.types}
    by_kind: dict[type, TypeCodec] = {}
    by_tag: dict[Any, TypeCodec] = {}
    for each in members:
        _add_member(each, by_kind, by_tag)
    types, kinds = tuple(by_type), frozenset(by_kind)
    has_tags = len(by_tag) > 1

    def dump(value: Any) -> Any:
        codec = by_type.get(type(value))
        if codec is None:
            value = behind_proxy(value)
            bases = (by_type.get(each) for each in type(value).__mro__)
            codec = next((each for each in bases if each and each.takes_subclasses), None)
        return codec.dump(value) if codec else reject_value(value, types, name)

    def load(raw: Any, loader: Loader) -> Any:
        codec = by_kind.get(type(raw))
        if has_tags and type(raw) is dict:
            codec = next((each for (key, tag), each in by_tag.items() if raw.get(key) == tag), None)
        return codec.load(raw, loader) if codec else reject_raw(raw, kinds, name)

    wires = [each.wire for each in members]
    return TypeCodec(name, types, kinds, dump, load, reduce(or_, wires) if all(wires) else None)


def _add_member(
    member: TypeCodec, by_kind: dict[type, TypeCodec], by_tag: dict[Any, TypeCodec]
) -> None:
    for kind in member.kinds:
        known = by_kind.setdefault(kind, member)
        has_tags = known.tag and member.tag and known.tag[0] == member.tag[0]
        if known is not member and (not has_tags or member.tag in by_tag):
            message = f"is a union of {known.name} and {member.name}, which look alike in JSON"
            raise PayloadTypeError(message)
    if member.tag:
        by_tag[member.tag] = member
