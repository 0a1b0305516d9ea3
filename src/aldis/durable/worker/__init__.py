"""The worker: the process that runs what was recorded."""

from __future__ import annotations

from aldis.durable.worker.worker import Worker

__all__ = ["Worker"]
