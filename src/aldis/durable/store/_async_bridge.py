"""Runs synchronous code, such as a store, on the engine of an async driver.

Such code must run in a greenlet inside an event loop: SQLAlchemy awaits the driver there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

from sqlalchemy.util import greenlet_spawn

from aldis.durable.store.base import Store

__all__ = ["bridge", "call_in_greenlet", "has_async_engine", "own_connections"]

T = TypeVar("T")


def has_async_engine(store: Store) -> bool:
    """Return whether the engine of ``store`` has an async driver."""
    engine = getattr(store, "engine", None)
    return engine is not None and bool(engine.dialect.is_async)


async def call_in_greenlet(function: Callable[..., T], *args: Any) -> T:
    """Call a function that uses an async engine as if the engine were sync."""
    result: T = await greenlet_spawn(function, *args)
    return result


def bridge(store: Store, run: Callable[[Callable[[], Any]], Any]) -> Store:
    """Return ``store`` with every method called through ``run``.

    Args:
        store: A store on an async engine.
        run: Calls a function in the engine's event loop with :func:`call_in_greenlet`, waits, and
            returns the result.
    """
    return cast("Store", _BridgedStore(store, run))


@contextmanager
def own_connections(store: Store, bridged: Store) -> Iterator[Store]:
    """Yield a store that the calling thread can use while the receivers' event loop is blocked.

    Args:
        store: The store.
        bridged: The store whose engine, if it is async, works in the receivers' event loop.
    """
    make = getattr(store, "with_own_connections", None)
    own = make() if has_async_engine(store) and make is not None else None
    if own is None:
        yield bridged
        return
    with asyncio.Runner() as runner:

        def run(function: Callable[[], Any]) -> Any:
            return runner.run(call_in_greenlet(function))

        try:
            yield bridge(own, run)
        finally:
            run(own.engine.dispose)


class _BridgedStore:
    """Passes each call of a store through a function; for iterators, each step as well."""

    def __init__(self, store: Store, run: Callable[[Callable[[], Any]], Any]) -> None:
        self._store = store
        self._run = run

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        return partial(self._call, attribute) if callable(attribute) else attribute

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = self._run(partial(method, *args, **kwargs))
        return self._iterate(result) if isinstance(result, Iterator) else result

    def _iterate(self, steps: Iterator[Any]) -> Iterator[Any]:
        end = object()
        while (step := self._run(partial(next, steps, end))) is not end:
            yield step
