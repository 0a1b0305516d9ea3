"""Which session is the caller's, and what waits for the end of its transaction.

The sessions are SQLAlchemy's. Nothing here imports it before there is one.
"""

from __future__ import annotations

from aldis.transactions.apart import is_async_session, run_apart
from aldis.transactions.caller import (
    Caller,
    Source,
    add_finder,
    async_part,
    caller,
    sync_counterpart,
    using,
)
from aldis.transactions.ledger import Ledger, Writer, ledger_of, listen_to_sessions

__all__ = [
    "Caller",
    "Ledger",
    "Source",
    "Writer",
    "add_finder",
    "async_part",
    "caller",
    "is_async_session",
    "ledger_of",
    "listen_to_sessions",
    "run_apart",
    "sync_counterpart",
    "using",
]
