"""Signals: connecting and sending. This package uses the standard library only."""

from __future__ import annotations

from aldis.core._native import COMPILED
from aldis.core.contract import Contract
from aldis.core.current import current_signal
from aldis.core.explain import Explanation
from aldis.core.namespace import (
    Finding,
    NamedSignal,
    Namespace,
    declare,
    default_namespace,
    namespaces,
    signal,
)
from aldis.core.observers import Call, Emission, Observer, attach, detach
from aldis.core.receiver import SupportsBindSignal
from aldis.core.sender import ANY
from aldis.core.signal import Signal, Subscription
from aldis.core.slowpath import Outcome
from aldis.core.strict import is_strict, set_strict

__all__ = [
    "ANY",
    "COMPILED",
    "Call",
    "Contract",
    "Emission",
    "Explanation",
    "Finding",
    "NamedSignal",
    "Namespace",
    "Observer",
    "Outcome",
    "Signal",
    "Subscription",
    "SupportsBindSignal",
    "attach",
    "current_signal",
    "declare",
    "default_namespace",
    "detach",
    "is_strict",
    "namespaces",
    "set_strict",
    "signal",
]
