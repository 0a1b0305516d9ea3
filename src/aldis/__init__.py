"""aldis: the signal layer for Python web applications, a drop-in replacement for blinker.

PYTEST_DONT_REWRITE: aldis has a pytest plugin, and programs import aldis before pytest. Without
this word, pytest warns that it cannot rewrite the assertions of this module, which has none.
"""

from __future__ import annotations

import os
import sys

from aldis.blinker import install_as_blinker
from aldis.core import (
    ANY,
    COMPILED,
    NamedSignal,
    Namespace,
    Outcome,
    Signal,
    Subscription,
    declare,
    default_namespace,
    namespaces,
    set_strict,
    signal,
)
from aldis.errors import StandInError
from aldis.version import __version__

__all__ = [
    "ANY",
    "COMPILED",
    "NamedSignal",
    "Namespace",
    "Outcome",
    "Signal",
    "Subscription",
    "__version__",
    "declare",
    "default_namespace",
    "install_as_blinker",
    "namespaces",
    "set_strict",
    "signal",
]

# `aldis run` has started this Python. Another `sitecustomize`, or an option such as -I, may hide
# the one that imports aldis first.
if os.environ.get("ALDIS_RUN_PREFIX") == sys.prefix:
    try:
        install_as_blinker()
    except StandInError as _error:
        sys.stderr.write(f"aldis run: {_error}\n")
