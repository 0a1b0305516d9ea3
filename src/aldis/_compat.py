"""Reads the private attributes of other libraries; no other module of aldis touches one.

Each function takes the library's object, so importing this module imports no library.
``tests/test_compat.py`` runs every function on the real library and names the supported versions.
If a new version of a library breaks aldis, look here first.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from importlib.metadata import Distribution
    from pathlib import Path

    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session, SessionTransaction
    from sqlalchemy.pool import QueuePool

__all__ = [
    "connections_of",
    "forget_loaded_metadata",
    "is_flushing",
    "is_marked_async",
    "is_protocol",
    "max_overflow",
    "metadata_folder",
    "set_variable",
    "socket_number",
    "usable_after_commit",
]

T = TypeVar("T")

# -- Python --------------------------------------------------------------------------------------


def set_variable(variable: ContextVar[T], value: T) -> None:
    """Set a context variable, although the garbage collector may set another one meanwhile.

    Python 3.11 may collect garbage in the middle of ``set``. If a ``__del__`` then sets a variable
    of this context, Python frees the values that ``set`` is reading, and crashes.
    """
    _values = copy_context() if sys.version_info < (3, 12) else None  # keeps them alive
    variable.set(value)


def is_marked_async(function: Any) -> bool:
    """Return whether ``inspect.markcoroutinefunction`` or asyncio marks ``function`` as async."""
    # Python creates a dict for a function whose `__dict__` is read, so only the names are tested.
    if not (hasattr(function, "_is_coroutine_marker") or hasattr(function, "_is_coroutine")):
        return False
    if iscoroutinefunction(function):
        return True
    # The older mark is an object of asyncio, so only code that imported asyncio can have set it.
    coroutines = sys.modules.get("asyncio.coroutines")
    mark = getattr(coroutines, "_is_coroutine", None)
    return mark is not None and getattr(function, "_is_coroutine", None) is mark


def is_protocol(cls: type) -> bool:
    """Return whether ``cls`` is a ``typing.Protocol``. Python 3.13 has a public function for it."""
    return bool(getattr(cls, "_is_protocol", False))


def metadata_folder(dist: Distribution) -> Path | None:
    """Return the folder, or the file, with the metadata of an installed distribution.

    A distribution that another finder than Python's has found may have none.
    """
    path: Any = getattr(dist, "_path", None)
    from pathlib import Path  # noqa: PLC0415 - it would double the time of `import aldis`

    return None if path is None else Path(str(path))


# -- SQLAlchemy ----------------------------------------------------------------------------------


def connections_of(transaction: SessionTransaction) -> Iterable[Connection]:
    """Return the connections that ``transaction`` uses. SQLAlchemy 2.1 has an attribute for it."""
    known: Iterable[Connection] | None = getattr(transaction, "connections", None)
    if known is None:
        known = {entry[0] for entry in transaction._connections.values()}
    return known


def is_flushing(session: Session) -> bool:
    """Return whether ``session`` is flushing, for example because a flush hook is running."""
    return session._flushing


@contextmanager
def usable_after_commit(session: Session) -> Generator[None]:
    """Let a block use ``session`` before the ``with session.begin():`` that committed has ended.

    SQLAlchemy forbids it until the ``with`` block has ended, although the transaction has ended.
    """
    block, session._trans_context_manager = session._trans_context_manager, None
    try:
        yield
    finally:
        session._trans_context_manager = block


def max_overflow(pool: QueuePool) -> int:
    """Return how many connections ``pool`` opens beyond its size; -1 without a limit."""
    return pool._max_overflow


# -- database drivers ----------------------------------------------------------------------------


def socket_number(connection: Any) -> int | None:
    """Return the file number of a driver's connection, or ``None`` if it cannot be found.

    psycopg, psycopg2 and mysqlclient have ``fileno()``. The connections of PyMySQL, asyncpg and
    aiomysql hide a socket.
    """
    stream = getattr(connection, "_transport", None) or getattr(connection, "_writer", None)
    try:
        if stream is not None:
            connection = stream.get_extra_info("socket")
        number = getattr(connection, "_sock", connection).fileno()
    except Exception:  # noqa: BLE001 - another driver, or a closed connection
        return None
    return number if isinstance(number, int) and number >= 0 else None


# -- Authlib -------------------------------------------------------------------------------------


def forget_loaded_metadata(metadata: dict[str, Any]) -> None:
    """Make Authlib load a provider's ``metadata`` again before its next use."""
    metadata.pop("_loaded_at", None)
