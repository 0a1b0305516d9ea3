"""The shape of pydantic models, which validate themselves."""

from __future__ import annotations

import sys
from inspect import signature
from typing import Any

import msgspec

from aldis.durable.codec.shape import Loader, Shape, misfit, mismatch, with_article
from aldis.errors import PayloadError, PayloadMismatchError

__all__ = ["Model", "is_model"]

_encode = msgspec.json.Encoder().encode


def is_model(hint: Any) -> bool:
    """Tell whether ``hint`` is a pydantic model, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    model = getattr(pydantic, "BaseModel", None)
    return model is not None and isinstance(hint, type) and issubclass(hint, model)


class Model(Shape):
    """The instances of a pydantic model.

    What a model writes is its own affair, and need not be what it can read: each one is read again
    before it is recorded. One that comes back may say that all of its fields were set.
    """

    kinds = frozenset({dict})

    def __init__(self, model: Any) -> None:
        self.types = (model,)
        self._model = model
        # By name where pydantic can (from 2.11 on): the names for writing and reading may differ.
        by_name = "by_name" in signature(model.model_validate_json).parameters
        self._read: dict[str, bool] = {"by_name": True, "by_alias": False} if by_name else {}
        self._by_alias = not by_name
        if hasattr(model, "__pydantic_root_model__") and model.__pydantic_root_model__:
            self.kinds = frozenset({type(None), bool, int, float, str, list, dict})

    def dump(self, value: Any) -> Any:
        """Return the model's JSON, as it is to be put into the text."""
        if type(value) is not self._model:
            misfit(value, self)
        try:
            text = value.model_dump_json(by_alias=self._by_alias, round_trip=True, warnings=False)
            again = self._model.model_validate_json(text, **self._read)
            unchanged = same(value, again)
        except Exception as error:
            raise PayloadError(
                f"is {with_article(self)} that cannot be written and read ({error})"
            ) from error
        if not unchanged:
            raise PayloadError(
                f"is {with_article(self)} that does not come back from JSON as it was"
            )
        return msgspec.Raw(text.encode())

    def load(self, raw: Any, loader: Loader) -> Any:  # noqa: ARG002 - the loader is for rows
        """Validate what was read."""
        if type(raw) not in self.kinds:
            mismatch(raw, self)
        try:
            return self._model.model_validate_json(_encode(raw), **self._read)
        except Exception as error:
            raise PayloadMismatchError(f"is no {self}: {error}") from error

    def __str__(self) -> str:
        return str(self._model.__qualname__)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(map(_typed, one)) == list(map(_typed, other)) and all(
            same(each, other[key]) for key, each in one.items()
        )
    if isinstance(one, (set, frozenset)):
        return set(map(_typed, one)) == set(map(_typed, other))
    if is_model(type(one)):
        return bool(one == other) and same(vars(one), vars(other))
    return bool(one == other)


def _typed(value: Any) -> tuple[type, Any]:
    return type(value), value
