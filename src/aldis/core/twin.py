"""Which of the two call loops is in use: the compiled one, unless there is none.

``ALDIS_NO_EXTENSIONS=1`` chooses the Python twin. An extension that is there but cannot be loaded
raises: it is never silently replaced.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

from aldis.core import emit
from aldis.core.process import is_set

__all__ = ["COMPILED", "Emitter", "Link", "Routes", "WeakMethodShape", "set_tap"]


def _choose() -> ModuleType:
    if is_set("ALDIS_NO_EXTENSIONS"):
        return emit
    try:
        return import_module("aldis.core._emit")
    except ModuleNotFoundError as missing:
        if missing.name != "aldis.core._emit":
            raise
        return emit


_loop = _choose()

#: Whether the compiled call loop is in use.
COMPILED: Final[bool] = _loop is not emit

if TYPE_CHECKING:
    from aldis.core.emit import Emitter, Link, Routes, WeakMethodShape, set_tap
else:
    Emitter = _loop.Emitter
    Link = _loop.Link
    Routes = _loop.Routes
    WeakMethodShape = _loop.WeakMethodShape
    set_tap = _loop.set_tap
