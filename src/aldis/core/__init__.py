"""The engine: signals, who is connected to them, and sending. Standard library only."""

from __future__ import annotations

from aldis.core.binding import SupportsBindSignal
from aldis.core.contract import Contract
from aldis.core.explain import Explanation
from aldis.core.identity import ANY
from aldis.core.namespace import Finding, Namespace, default_namespace, namespaces, signal
from aldis.core.outcome import Outcome
from aldis.core.signal import NamedSignal, Signal
from aldis.core.strict import is_strict, set_strict
from aldis.core.subscription import Subscription
from aldis.core.tap import Call, Emission, Observer, attach, detach
from aldis.core.twin import COMPILED

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
    "default_namespace",
    "detach",
    "is_strict",
    "namespaces",
    "set_strict",
    "signal",
]
