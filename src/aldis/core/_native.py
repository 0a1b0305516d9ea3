"""Which of the two call loops is in use: the compiled one, unless there is none.

``ALDIS_NO_EXTENSIONS=1`` chooses the Python twin. An extension that is there but cannot be loaded
raises: it is never silently replaced.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

from aldis.core import dispatch
from aldis.core.process import is_set

__all__ = ["COMPILED", "Emitter", "Link", "MethodResolver", "Routes", "set_observed"]


def _choose() -> ModuleType:
    if is_set("ALDIS_NO_EXTENSIONS"):
        return dispatch
    try:
        return import_module("aldis.core._dispatch")
    except ModuleNotFoundError as missing:
        if missing.name != "aldis.core._dispatch":
            raise
        return dispatch


_loop = _choose()

#: Whether the compiled call loop is in use.
COMPILED: Final[bool] = _loop is not dispatch

if TYPE_CHECKING:
    from aldis.core.dispatch import Emitter, Link, MethodResolver, Routes, set_observed
else:
    Emitter = _loop.Emitter
    Link = _loop.Link
    Routes = _loop.Routes
    MethodResolver = _loop.MethodResolver
    set_observed = _loop.set_observed
