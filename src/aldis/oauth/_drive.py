"""Runs the coroutines of a login in programs without an event loop.

The steps of a login are coroutines, and the blueprints of Flask and of Quart share them. On Flask,
each call blocks its thread, so no coroutine ever waits for an event loop, and ``drive`` runs it to
its end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import isawaitable
from typing import Any, Final, TypeVar

from aldis.core.process import ForkSafeLock

__all__ = ["Lock", "MakeLock", "drive", "entered", "locked", "resolved"]

T = TypeVar("T")

#: A lock between threads, or between the tasks of an event loop.
Lock = ForkSafeLock | AbstractAsyncContextManager[Any]
MakeLock = Callable[[], Lock]

_WAITS: Final = (
    "a function waits for an event loop, and Flask has none: use a sync function or storage, or "
    "aldis.oauth.quart with Quart"
)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run ``coroutine`` in this thread and return its result.

    Raises:
        RuntimeError: The coroutine waits for an event loop.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError(_WAITS)


async def resolved(value: Any) -> Any:
    """Return ``value``, or its result if it is awaitable."""
    return await value if isawaitable(value) else value


@asynccontextmanager
async def entered(manager: Any) -> AsyncGenerator[Any]:
    """Enter a context manager, sync or async."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


async def locked(lock: Lock, step: Callable[[], Awaitable[T]]) -> T:
    """Return the result of ``step``, which runs while ``lock`` is held."""
    if isinstance(lock, ForkSafeLock):
        # Not through an async context manager: an interrupt could leave the lock locked.
        with lock.lock:
            return await step()
    async with lock:
        return await step()
