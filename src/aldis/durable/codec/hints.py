"""The annotations of functions and classes, each resolved on its own.

One that names what is imported for type checkers only does not take the others with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, signature, unwrap
from typing import Any, Final, get_type_hints

__all__ = ["MISSING", "Unresolved", "hints_of", "sender_hint"]


#: Stands for an annotation that is not there.
MISSING: Final = object()


class Unresolved:
    """An annotation that stands for nothing at run time.

    Args:
        text: The annotation.
        error: What resolving it raised.
    """

    def __init__(self, text: object, error: Exception) -> None:
        self.text = text
        self.error = error

    def __str__(self) -> str:
        return f"{self.text}, which cannot be resolved at run time ({self.error})"


def hints_of(annotated: Any) -> Mapping[str, Any]:
    """Return the hints of a callable or a class by name, ``Unresolved`` where there is none."""
    if not isinstance(annotated, type):
        annotated = _function(annotated)
    try:
        return get_type_hints(annotated, include_extras=True)
    except Exception:  # noqa: BLE001 - resolving runs what is written there
        return _one_by_one(annotated)


def sender_hint(function: Callable[..., Any]) -> Any:
    """Return the hint of the first parameter, ``None`` without a usable one."""
    try:
        first = next(iter(signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return None
    if first is None or first.kind in (Parameter.VAR_KEYWORD, Parameter.KEYWORD_ONLY):
        return None
    return hints_of(function).get(first.name)


def _function(annotated: Any) -> Any:
    """Return the function whose annotations those of a callable are."""
    while isinstance(annotated, partial):
        annotated = annotated.func
    annotated = unwrap(annotated)
    return annotated if hasattr(annotated, "__annotations__") else type(annotated).__call__


def _one_by_one(annotated: Any) -> Mapping[str, Any]:
    hints: dict[str, Any] = {}
    for owner in reversed(annotated.__mro__) if isinstance(annotated, type) else [annotated]:
        module = sys.modules.get(getattr(owner, "__module__", ""))
        names = getattr(owner, "__globals__", None) or getattr(module, "__dict__", {})
        # Of a class, those of its own: what it inherits was written in another module.
        own = vars(owner) if isinstance(owner, type) else {}
        annotations = own.get("__annotations__", {}) if own else owner.__annotations__
        for name, annotation in annotations.items():
            hints[name] = _resolve(annotation, names)
    return hints


def _resolve(annotation: Any, names: dict[str, Any]) -> Any:
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    try:
        return get_type_hints(holder, names, include_extras=True)["it"]
    except RecursionError:  # which those who look into it will say in better words
        return annotation
    except Exception as error:  # noqa: BLE001 - resolving runs what is written there
        return Unresolved(annotation, error)
