"""The codec of mapped instances: their class and their primary key are written.

This module does not import SQLAlchemy. If nothing else has, no class is mapped.
"""

from __future__ import annotations

import sys
from datetime import date, datetime, time
from typing import Any, Final

from aldis.durable.codec._codecs import SCALARS, Loader, TypeCodec, behind_proxy, type_codec
from aldis.durable.codec._errors import at_step, reject_raw, reject_value, with_article
from aldis.errors import LostRowError, PayloadError, PayloadMismatchError, PayloadTypeError


def _local(kind: Any) -> TypeCodec:
    return type_codec(kind, str, write=kind.isoformat, parse=lambda raw, _: kind.fromisoformat(raw))


#: The codecs of the parts of a primary key, by the name that is written with a part. The times in
#: a database have no zone.
_PARTS: Final = {
    **{each.__name__: codec for each, codec in SCALARS.items() if each is not type(None)},
    **{each.__name__: _local(each) for each in (datetime, date, time)},
}


def mapper_of(cls: Any) -> Any | None:
    """Return the mapper of a mapped class, or ``None`` for another class."""
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is None or not isinstance(cls, type):
        return None
    try:
        # Modules with other models may not be imported yet.
        return orm.class_mapper(cls, configure=False)
    except orm.exc.UnmappedClassError:
        return None


def row(cls: Any, mapper: Any) -> TypeCodec:  # noqa: C901 - two functions
    """Return the codec of a mapped class and its subclasses: ``{"row": name, "key": […]}``."""
    name = cls.__qualname__
    columns = len(mapper.primary_key)
    for column in mapper.primary_key:
        _check_column(column)
    root = mapper.identity_key_from_primary_key((None,) * columns)[0]

    def dump(value: Any) -> Any:
        value = behind_proxy(value)
        if not isinstance(value, cls):
            reject_value(value, (cls,), name)
        value_root, identity = _identity_of(value, name)
        if value_root is not root:
            raise PayloadError(
                f"is {with_article(type(value))}, which has its own table and primary keys: "
                f"declare it besides {name}"
            )
        try:
            return {"row": name, "key": [_write_part(each) for each in identity]}
        except PayloadError as error:
            raise at_step(error, " in its primary key") from None

    def load(raw: Any, loader: Loader) -> Any:
        if type(raw) is not dict or raw.get("row") != name:
            reject_raw(raw, frozenset(), name)
        key = raw.get("key")
        if type(key) is not list or len(key) != columns:
            raise PayloadMismatchError(f"has no primary key of {with_article(name)}")
        identity = tuple(_read_part(each, loader) for each in key)
        try:
            found = loader.load(cls, identity)
        except Exception as error:
            if not _is_about_key(error):
                raise
            message = f"has a primary key that is not valid for {with_article(name)} ({error})"
            raise PayloadMismatchError(message) from error
        if found is None:
            raise LostRowError(f"is the {name} with the primary key {identity!r}, which is gone")
        return found

    tag = ("row", name)
    return TypeCodec(name, (cls,), frozenset({dict}), dump, load, tag=tag, takes_subclasses=True)


def _identity_of(value: Any, name: str) -> tuple[Any, tuple[Any, ...]]:
    """Return the class that the primary key belongs to, and the primary key."""
    state = sys.modules["sqlalchemy"].inspect(value)
    if state.identity_key is None:
        raise PayloadError(f"is {with_article(name)} without a primary key yet: flush it first")
    if state.deleted or state.was_deleted:
        raise PayloadError(
            f"is a deleted {name}, which the worker cannot load: give durable a payload= function "
            "that returns the values that the receiver needs"
        )
    root, identity, *_ = state.identity_key
    return root, identity


def _is_about_key(error: Exception) -> bool:
    """Tell whether a value of the key is wrong. A database that is down is another matter."""
    errors = sys.modules["sqlalchemy"].exc
    if isinstance(error, (PayloadError, errors.DBAPIError)):
        return isinstance(error, errors.DataError)
    return isinstance(error, (errors.StatementError, TypeError, ValueError, OverflowError))


def _check_column(column: Any) -> None:
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return
    is_decorated = isinstance(column.type, sys.modules["sqlalchemy"].types.TypeDecorator)
    if kind.__name__ not in _PARTS and not is_decorated:
        message = f"has a primary key with {column.name!r} of type {kind.__name__}"
        raise PayloadTypeError(f"{message}, which cannot be encoded")


def _write_part(part: Any) -> Any:
    kind = type(part)
    if kind is int or kind is str or part is None:
        return part
    codec = _PARTS.get(kind.__name__)
    if codec is None or kind not in codec.types:
        raise PayloadError(f"is {with_article(kind)}, which cannot be encoded")
    return {kind.__name__: codec.dump(part)}


def _read_part(raw: Any, loader: Loader) -> Any:
    if type(raw) is int or type(raw) is str or raw is None:
        return raw
    if type(raw) is dict and len(raw) == 1:
        ((name, written),) = raw.items()
        if name in _PARTS:
            return _PARTS[name].load(written, loader)
    raise PayloadMismatchError("is not a part of a primary key")
