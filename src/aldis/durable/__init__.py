"""Receivers that survive a crash: recorded in the sender's transaction, run by a worker."""

from __future__ import annotations

from aldis._optional import needs
from aldis.errors import GiveUp, RetryLater

with needs("aldis.durable", "durable", sqlalchemy="SQLAlchemy"):
    import sqlalchemy as _sqlalchemy  # noqa: F401 - without it, nothing here can be imported

from aldis.durable._old_names import register_moved_modules
from aldis.durable.codec import add_app, register_sender
from aldis.durable.current import CurrentDelivery, current_delivery
from aldis.durable.outbox import Outbox
from aldis.durable.receiver import Durable, durable
from aldis.durable.retry import Breaker, Retry
from aldis.durable.store.sql.tables import tables
from aldis.durable.worker import Worker

__all__ = [
    "Breaker",
    "CurrentDelivery",
    "Durable",
    "GiveUp",
    "Outbox",
    "Retry",
    "RetryLater",
    "Worker",
    "add_app",
    "current_delivery",
    "durable",
    "register_sender",
    "tables",
]

register_moved_modules()
