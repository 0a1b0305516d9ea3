"""From annotations to shapes."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, Flag
from types import UnionType
from typing import Annotated, Any, Final, Literal, LiteralString, NewType, get_args, get_origin
from typing import Union as TypingUnion

from aldis.durable.codec.containers import Array, Dict, Either, Pairs, TupleShape
from aldis.durable.codec.enums import EnumShape, FlagShape, LiteralShape
from aldis.durable.codec.hints import MISSING, Unresolved
from aldis.durable.codec.models import Model, is_model
from aldis.durable.codec.records import Record, TypedDictRecord, is_record, is_typed_dict
from aldis.durable.codec.rows import Row, mapper_of
from aldis.durable.codec.scalars import SCALARS, STR
from aldis.durable.codec.shape import Shape, name_of_type
from aldis.durable.codec.times import TIMES
from aldis.durable.codec.unions import union_of
from aldis.errors import PayloadTypeError

__all__ = ["Shapes", "bare"]

SIMPLE: Final[dict[Any, Shape]] = {**SCALARS, **TIMES, None: SCALARS[type(None)]}

#: What a collection's annotation takes; an abstract one for reading takes two types.
COLLECTIONS: Final[dict[Any, tuple[type, ...]]] = {
    list: (list,),
    set: (set,),
    frozenset: (frozenset,),
    MutableSequence: (list,),
    Sequence: (list, tuple),
    AbstractSet: (set, frozenset),
}

#: How deep annotations may be nested: one that contains itself has no end.
DEEPEST: Final = 100


class Shapes:
    """Finds shapes; one object for the annotations of one signal.

    Classes that refer to themselves have one shape each.
    """

    def __init__(self) -> None:
        self._classes: dict[Any, Shape] = {}
        self._depth = 0

    def of(self, hint: Any) -> Shape:
        """Return the shape of the values of a type.

        Args:
            hint: A resolved annotation.

        Raises:
            PayloadTypeError: Values of that type cannot travel.
        """
        if self._depth >= DEEPEST:
            raise PayloadTypeError("has a type that contains itself without end")
        self._depth += 1
        try:
            return self._of(hint)
        finally:
            self._depth -= 1

    def _of(self, hint: Any) -> Shape:
        hint = bare(hint)
        if isinstance(hint, Unresolved):
            raise PayloadTypeError(f"is {hint}") from hint.error
        if isinstance(hint, type) and get_origin(hint) is None:
            return self._of_class(hint)
        if hint is None:
            return SIMPLE[None]
        if hint is LiteralString:
            return STR
        return self._of_form(hint, get_origin(hint), get_args(hint))

    def _of_class(self, cls: Any) -> Shape:
        if cls in SIMPLE:
            return SIMPLE[cls]
        if cls not in self._classes:
            self._find(cls)
        return self._classes[cls]

    def _find(self, cls: Any) -> None:
        mapper = mapper_of(cls)
        if mapper is not None:
            self._classes[cls] = Row(cls, mapper)
        elif is_model(cls):
            self._classes[cls] = Model(cls)
        elif issubclass(cls, Enum):
            self._classes[cls] = FlagShape(cls) if issubclass(cls, Flag) else EnumShape(cls)
        elif is_typed_dict(cls) or is_record(cls):
            shape = TypedDictRecord(cls) if is_typed_dict(cls) else Record(cls)
            self._classes[cls] = shape
            try:
                shape.read_fields(self.of)
            except PayloadTypeError:
                del self._classes[cls]
                raise
        else:
            raise _unknown(cls)

    def _of_form(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Shape:
        if origin in (TypingUnion, UnionType):
            return union_of([self.of(each) for each in args])
        if origin is Literal:
            return LiteralShape(args)
        if origin is tuple:
            if len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004 - tuple[T, ...]
                return Array(tuple, self.of(args[0]))
            return TupleShape([self.of(each) for each in args])
        if origin in COLLECTIONS and args:
            return _collection([Array(each, self.of(args[0])) for each in COLLECTIONS[origin]])
        if origin in (dict, Mapping, MutableMapping) and args:
            key, item = map(self.of, args)
            return (Dict if key.kinds == {str} else Pairs)(key, item)
        raise _unknown(hint)


def _collection(shapes: list[Shape]) -> Shape:
    return shapes[0] if len(shapes) == 1 else Either(*shapes)


def bare(hint: Any) -> Any:
    """Return the type itself: without metadata, and for a name what it stands for."""
    for _ in range(100):
        if get_origin(hint) is Annotated:
            hint = hint.__origin__
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":  # of Python 3.12 or of typing_extensions
            hint = hint.__value__
        else:
            break
    return hint


def _unknown(hint: Any) -> PayloadTypeError:
    if hint is MISSING:
        return PayloadTypeError("has no annotation")
    name = name_of_type(hint)
    if hint is Any or hint is object:
        return PayloadTypeError(f"is {name}, which says nothing about what travels")
    if hint in (list, set, frozenset, tuple, dict) or hint in COLLECTIONS:
        return PayloadTypeError(f"is a bare {name}, which does not say what is in it")
    return PayloadTypeError(f"is {name}, which cannot travel")
