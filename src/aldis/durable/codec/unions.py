"""The shape of a union: each of its values must be recognisable from what is written for it."""

from __future__ import annotations

from typing import Any

from aldis.durable.codec.shape import Loader, Shape, behind, misfit, mismatch
from aldis.errors import PayloadTypeError

__all__ = ["Union", "union_of"]


def union_of(members: list[Shape]) -> Shape:
    """Return the shape of a union.

    Raises:
        PayloadTypeError: Two members look alike in JSON.
    """
    members = [*dict.fromkeys(members)]
    if any(float in each.types for each in members):
        # A float's shape takes whole numbers as well.
        members = [each for each in members if each.types != (int,)]
    return members[0] if len(members) == 1 else Union(members)


class Union(Shape):
    """One of several shapes, told apart by Python type when written and by JSON type when read."""

    def __init__(self, members: list[Shape]) -> None:
        self._members = members
        self._by_type: dict[type, Shape] = {}
        self._by_kind: dict[type, Shape] = {}
        self._by_tag: dict[Any, Shape] = {}
        self._tag_field: str | None = None
        for member in members:
            self._add(member)
        self.types = tuple(self._by_type)
        self.kinds = frozenset(self._by_kind)

    def _add(self, member: Shape) -> None:
        for kind in member.kinds:
            known = self._by_kind.get(kind)
            if known is not None and not (kind is dict and self._told_by_tag(known, member)):
                raise PayloadTypeError(
                    f"{known} and {member} look alike in JSON, so that their union is ambiguous"
                )
            self._by_kind[kind] = member
        if member.tag is not None:
            self._tag_field, tag = member.tag
            self._by_tag[tag] = member
        for each in member.types:
            self._by_type[each] = member

    def _told_by_tag(self, known: Shape, member: Shape) -> bool:
        if known.tag is None or member.tag is None:
            return False
        return known.tag[0] == member.tag[0] and member.tag[1] not in self._by_tag

    def dump(self, value: Any) -> Any:
        """Return what the shape of the value's type writes for it."""
        value = behind(value)
        kind = type(value)
        shape = self._by_type.get(kind)
        if shape is None:
            bases = (self._by_type.get(each) for each in kind.__mro__)
            shape = next((each for each in bases if each is not None and each.by_subclass), None)
        return misfit(value, self) if shape is None else shape.dump(value)

    def load(self, raw: Any, loader: Loader) -> Any:
        """Return what the shape reads that is recognised by the JSON type, or by its tag."""
        shape = self._by_kind.get(type(raw))
        if type(raw) is dict and len(self._by_tag) > 1:
            tag = raw.get(self._tag_field)
            shape = self._by_tag.get(tag) if isinstance(tag, (str, int)) else None
        return mismatch(raw, self) if shape is None else shape.load(raw, loader)

    def __str__(self) -> str:
        return " | ".join(map(str, self._members))
