"""Warns if a process forks while a pool of an outbox has open connections.

Parent and child would share their sockets, and each would read answers to the other's statements.
A web server that imports the app before it forks (gunicorn's ``preload_app``) is the usual case.
"""

from __future__ import annotations

import os
from typing import Final
from weakref import WeakSet

from sqlalchemy import Engine

from aldis.durable._log import get_logger

__all__ = ["watch_forks"]

_log = get_logger()

_watched: Final[WeakSet[Engine]] = WeakSet()
_reported: Final[WeakSet[Engine]] = WeakSet()


def watch_forks(engine: Engine) -> None:
    """Warn, once, if the process forks while the pool of ``engine`` has an open connection."""
    _watched.add(engine)


def _look() -> None:
    for engine in list(_watched):
        count = _open_connections(engine)
        if not count or engine in _reported:
            continue
        _reported.add(engine)
        _log.warning(
            "this process forks while the engine %s of an outbox has %s; parent and child would "
            "share it: call engine.dispose() before the fork (gunicorn: at the end of the module "
            "that preload_app imports)",
            engine.url.render_as_string(),
            "an open connection" if count == 1 else f"{count} open connections",
        )


def _open_connections(engine: Engine) -> int:
    """Return how many connections the pool has; zero if the kind of pool does not count them."""
    pool = engine.pool
    counts = (getattr(pool, name, None) for name in ("checkedin", "checkedout"))
    return sum(count() for count in counts if count is not None)


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_look)
