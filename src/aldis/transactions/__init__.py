"""The caller's session, and the rows and calls that wait for its commit.

The sessions are those of SQLAlchemy. This package imports SQLAlchemy only if a session exists.
"""

from __future__ import annotations

from aldis.transactions.buffer import (
    TransactionBuffer,
    Writer,
    buffer_of,
    listen_to_sessions,
    warn_forgotten,
)
from aldis.transactions.new_transaction import is_async_session, run_in_new_transaction
from aldis.transactions.scope import (
    SessionProvider,
    SessionScope,
    current_scope,
    register_provider,
    sqlalchemy_asyncio,
    sync_counterpart,
    use_session,
)

__all__ = [
    "SessionProvider",
    "SessionScope",
    "TransactionBuffer",
    "Writer",
    "buffer_of",
    "current_scope",
    "is_async_session",
    "listen_to_sessions",
    "register_provider",
    "run_in_new_transaction",
    "sqlalchemy_asyncio",
    "sync_counterpart",
    "use_session",
    "warn_forgotten",
]
