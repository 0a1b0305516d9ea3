"""Observes what signals do. Each observer has its own module; ``trace`` records sends as a tree."""

from __future__ import annotations

from aldis.observe._requests import TracedRequest, TraceOption
from aldis.observe._trace import Trace, trace
from aldis.observe._tree import CallNode, EmissionNode

__all__ = ["CallNode", "EmissionNode", "Trace", "TraceOption", "TracedRequest", "trace"]
