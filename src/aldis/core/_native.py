"""Chooses the engine: the C engine if it is built, otherwise the Python engine.

``ALDIS_NO_EXTENSIONS=1`` chooses the Python engine. If the C engine is built but cannot be loaded,
the import raises. aldis never replaces a broken extension silently.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Final

from aldis.core import dispatch
from aldis.core.process import is_set

__all__ = [
    "COMPILED",
    "CallFields",
    "EmissionFields",
    "Emitter",
    "Link",
    "MethodResolver",
    "OutcomeFields",
    "Progress",
    "Routes",
    "current_call",
    "sender_key",
    "set_observed_types",
    "set_observers",
    "set_outcome_type",
]


def _choose() -> ModuleType:
    if is_set("ALDIS_NO_EXTENSIONS"):
        return dispatch
    try:
        # A statement, because tools that freeze programs do not find a module in a string.
        import aldis.core._dispatch as compiled  # type: ignore[import-not-found]  # noqa: PLC0415 - it may be missing
    except ModuleNotFoundError as missing:
        if missing.name != "aldis.core._dispatch":
            raise
        return dispatch
    engine: ModuleType = compiled
    return engine


_engine = _choose()

#: Whether the C engine is in use.
COMPILED: Final[bool] = _engine is not dispatch

if TYPE_CHECKING:
    from aldis.core.dispatch import (
        CallFields,
        EmissionFields,
        Emitter,
        Link,
        MethodResolver,
        OutcomeFields,
        Progress,
        Routes,
        current_call,
        sender_key,
        set_observed_types,
        set_observers,
        set_outcome_type,
    )
else:
    CallFields = _engine.CallFields
    EmissionFields = _engine.EmissionFields
    Emitter = _engine.Emitter
    Link = _engine.Link
    MethodResolver = _engine.MethodResolver
    OutcomeFields = _engine.OutcomeFields
    Progress = _engine.Progress
    Routes = _engine.Routes
    current_call = _engine.current_call
    sender_key = _engine.sender_key
    set_observed_types = _engine.set_observed_types
    set_observers = _engine.set_observers
    set_outcome_type = _engine.set_outcome_type
