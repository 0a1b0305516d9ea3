"""aldis: signals for Python web applications, in blinker's place."""

from __future__ import annotations

from aldis.blinker import install_as_blinker
from aldis.core import (
    ANY,
    COMPILED,
    NamedSignal,
    Namespace,
    Outcome,
    Signal,
    Subscription,
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
    "default_namespace",
    "install_as_blinker",
    "namespaces",
    "set_strict",
    "signal",
]
