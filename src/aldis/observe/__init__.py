"""Watching what signals do: ``aldis.observe.trace``."""

from __future__ import annotations

from aldis.observe.trace import CallNode, EmissionNode, Trace, trace

__all__ = ["CallNode", "EmissionNode", "Trace", "trace"]
