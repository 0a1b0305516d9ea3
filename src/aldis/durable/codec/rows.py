"""The shape of SQLAlchemy's mapped instances: class and primary key.

SQLAlchemy is never imported here: where nobody has, nothing is mapped.
"""

from __future__ import annotations

import sys
from datetime import date, datetime, time
from typing import Any, Final

from aldis.durable.codec.scalars import SCALARS
from aldis.durable.codec.shape import Loader, Shape, behind, deeper, misfit, mismatch, with_article
from aldis.durable.codec.times import TIMES
from aldis.errors import LostRowError, PayloadError, PayloadMismatchError, PayloadTypeError

__all__ = ["Row", "is_mapped", "mapper_of"]

#: The types that a part of a primary key can have, by the name that is written with its value.
PARTS: Final = {each.__name__: shape for each, shape in {**SCALARS, **TIMES}.items()}
PARTS.pop("NoneType")


def mapper_of(cls: Any) -> Any | None:
    """Return the mapper of a mapped class, and ``None`` for everything else."""
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is None or not isinstance(cls, type):
        return None
    try:
        # Not configured yet: other modules with models may still have to be imported.
        return orm.class_mapper(cls, configure=False)
    except orm.exc.UnmappedClassError:
        return None


def is_mapped(value: object) -> bool:
    """Tell whether ``value`` is an instance of a mapped class."""
    return mapper_of(type(value)) is not None


class Row(Shape):
    """The instances of a mapped class and its subclasses, as ``{"row": name, "key": […]}``."""

    by_subclass = True
    kinds = frozenset({dict})

    def __init__(self, cls: type, mapper: Any) -> None:
        self.types = (cls,)
        self.tag = ("row", cls.__qualname__)
        self._cls = cls
        self._sqlalchemy = sys.modules["sqlalchemy"]
        self._columns = len(mapper.primary_key)
        self._identity_class = mapper.identity_key_from_primary_key((None,) * self._columns)[0]
        for column in mapper.primary_key:
            _check_column(column, self._sqlalchemy)

    def dump(self, value: Any) -> Any:
        """Return the class's name and the primary key."""
        value = behind(value)
        if not isinstance(value, self._cls):
            misfit(value, self)
        state = self._sqlalchemy.inspect(value)
        if state.identity_key is None:
            raise PayloadError(f"is {with_article(self)} without a primary key yet: flush it first")
        if state.deleted or state.was_deleted:
            raise PayloadError(
                f"is a deleted {self}, which the worker cannot load: give durable a payload= that "
                "records what is needed of it"
            )
        identity_class, identity, *_ = state.identity_key
        if identity_class is not self._identity_class:
            raise PayloadError(
                f"is {with_article(type(value))}, which has its own table and primary keys: "
                f"declare it besides {self}"
            )
        try:
            return {"row": self.tag[1], "key": [_write_part(each) for each in identity]}
        except PayloadError as error:
            raise deeper(error, " in its primary key") from None

    tag: tuple[str, str]

    def load(self, raw: Any, loader: Loader) -> Any:
        """Load the instance by its primary key."""
        if type(raw) is not dict or raw.get("row") != self.tag[1]:
            mismatch(raw, self)
        key = raw.get("key")
        if type(key) is not list or len(key) != self._columns:
            raise PayloadMismatchError(f"has no primary key of {with_article(self)}")
        identity = tuple(_read_part(each, loader) for each in key)
        found = self._load(loader, identity)
        if found is None:
            raise LostRowError(f"is the {self} with the primary key {identity!r}, which is gone")
        return found

    def _load(self, loader: Loader, identity: tuple[Any, ...]) -> Any:
        errors = self._sqlalchemy.exc
        try:
            return loader.load(self._cls, identity)
        except errors.DataError as error:
            raise _no_key(self, error) from error
        except (errors.DBAPIError, PayloadError):
            raise
        except (errors.StatementError, TypeError, ValueError, OverflowError) as error:
            raise _no_key(self, error) from error

    def __str__(self) -> str:
        return self._cls.__qualname__


def _no_key(row: Row, error: Exception) -> PayloadMismatchError:
    return PayloadMismatchError(f"has a primary key that no {row} can have ({error})")


def _check_column(column: Any, sqlalchemy: Any) -> None:
    """Refuse a column whose values cannot be written, as far as that can be told of a column."""
    if isinstance(column.type, sqlalchemy.types.TypeDecorator):
        return
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return
    if kind.__name__ not in PARTS:
        raise PayloadTypeError(
            f"has a primary key with {column.name!r} of type {kind.__name__}, which cannot travel"
        )


def _write_part(part: Any) -> Any:
    kind = type(part)
    if kind is int or kind is str or part is None:
        return part
    shape = PARTS.get(kind.__name__)
    if shape is None or kind not in shape.types:
        raise PayloadError(f"is {with_article(kind)}, which cannot travel")
    # A database's own times have no zone: as part of a key they are just that.
    if kind.__name__ in _TIMES:
        return {kind.__name__: part.isoformat()}
    return {kind.__name__: shape.dump(part)}


_TIMES: Final = {each.__name__: each for each in (datetime, date, time)}


def _read_part(raw: Any, loader: Loader) -> Any:
    if type(raw) is int or type(raw) is str or raw is None:
        return raw
    if type(raw) is dict and len(raw) == 1:
        ((name, written),) = raw.items()
        if name in _TIMES and type(written) is str:
            return _read_time(name, written)
        if name in PARTS:
            return PARTS[name].load(written, loader)
    raise PayloadMismatchError("is no part of a primary key")


def _read_time(name: str, written: str) -> Any:
    try:
        return _TIMES[name].fromisoformat(written)
    except ValueError as error:
        raise PayloadMismatchError(f"has a primary key with a {name} that is none") from error
