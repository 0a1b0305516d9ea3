"""The worker: it runs the recorded deliveries."""

from __future__ import annotations

from aldis.durable.worker.worker import Worker

__all__ = ["Worker"]
