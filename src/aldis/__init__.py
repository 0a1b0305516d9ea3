"""aldis: the signal layer for Python web applications, a drop-in replacement for blinker.

PYTEST_DONT_REWRITE: aldis has a pytest plugin, and programs import aldis before pytest. Without
this word, pytest warns that it cannot rewrite the assertions of this module, which has none.
"""

from __future__ import annotations

from aldis.blinker import install_as_blinker, install_under_aldis_run
from aldis.core import (
    ANY,
    COMPILED,
    NamedSignal,
    Namespace,
    Outcome,
    Signal,
    Subscription,
    current_signal,
    declare,
    default_namespace,
    namespaces,
    set_strict,
    signal,
)
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
    "current_signal",
    "declare",
    "default_namespace",
    "install_as_blinker",
    "namespaces",
    "set_strict",
    "signal",
]

install_under_aldis_run()
