"""Which of the two call loops is in use: the compiled one, unless there is none.

``ALDIS_NO_EXTENSIONS=1`` chooses the Python twin. An extension that is there but cannot be loaded
raises: it is never silently replaced.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from aldis.core import emit as _python

__all__ = ["COMPILED", "Emitter", "Link", "Routes", "set_tap"]

#: Whether the compiled call loop is in use.
COMPILED: bool = False

Emitter = _python.Emitter
Link = _python.Link
Routes = _python.Routes
set_tap = _python.set_tap
