"""What can be told of a callable without calling it: sync or async, its name, where it stands."""

from __future__ import annotations

import sys
from functools import partial
from inspect import CO_COROUTINE, iscoroutinefunction
from types import FunctionType, MethodType
from typing import Any

__all__ = ["in_words", "is_async", "location", "name_of", "unwrap_once"]


def is_async(receiver: Any) -> bool:
    """Tell whether calling ``receiver`` gives a coroutine.

    Looks through bound methods and ``functools.partial``, sees an ``async def __call__``, the marks
    of ``inspect.markcoroutinefunction`` and ``asyncio``, and takes a mock for what it stands for.
    """
    while type(receiver) is not FunctionType and isinstance(receiver, (MethodType, partial)):
        receiver = receiver.__func__ if isinstance(receiver, MethodType) else receiver.func
    if type(receiver) is FunctionType:
        return bool(receiver.__code__.co_flags & CO_COROUTINE) or _is_marked(receiver)
    call = getattr(type(receiver), "__call__", None)  # noqa: B004 - the method is wanted
    if type(call) is FunctionType and call.__code__.co_flags & CO_COROUTINE:
        return True
    # A mock answers every question with a truthy mock: only a real flag is believed.
    flags = getattr(getattr(receiver, "__code__", None), "co_flags", None)
    if isinstance(flags, int):
        return bool(flags & CO_COROUTINE)
    return flags is None and _is_marked(receiver)


def _is_marked(receiver: Any) -> bool:
    # Not by way of __dict__: asking for it makes one, for each function that is connected.
    if not (hasattr(receiver, "_is_coroutine_marker") or hasattr(receiver, "_is_coroutine")):
        return False
    if iscoroutinefunction(receiver):
        return True
    # The older mark can only have been set by someone who imported asyncio.
    coroutines = sys.modules.get("asyncio.coroutines")
    mark = getattr(coroutines, "_is_coroutine", None)
    return mark is not None and getattr(receiver, "_is_coroutine", None) is mark


def unwrap_once(receiver: Any) -> Any | None:
    """Return what ``receiver`` itself wraps (``__wrapped__``, ``partial``, method) or ``None``."""
    if isinstance(receiver, partial):
        return receiver.func
    if type(receiver) is MethodType:
        return receiver.__func__
    # From the instance's own dict: a mock would invent the attribute.
    return getattr(receiver, "__dict__", {}).get("__wrapped__")


def _innermost(receiver: Any) -> Any:
    """Follow wrappers down to the function that somebody wrote, at most 100 deep."""
    for _ in range(100):
        inner = unwrap_once(receiver)
        if inner is None:
            break
        receiver = inner
    return receiver


def name_of(receiver: Any) -> str:
    """Return the name that a reader of the source knows ``receiver`` by."""
    if isinstance(receiver, partial):
        return f"partial({name_of(receiver.func)})"
    for attribute in ("__qualname__", "__name__"):
        name = getattr(receiver, attribute, None)
        if isinstance(name, str):
            return name
    inner = unwrap_once(receiver)
    if inner is not None:
        return name_of(inner)
    return f"{type(receiver).__qualname__} object"


def location(receiver: Any) -> str | None:
    """Return ``file:line`` of the function behind ``receiver``, or ``None`` if it has no source.

    For an object with a ``__call__`` written in Python, that is where its ``__call__`` stands.
    """
    function = _innermost(receiver)
    if type(function) is not FunctionType:
        function = _innermost(getattr(type(function), "__call__", None))  # noqa: B004
    code: Any = getattr(function, "__code__", None)
    if isinstance(getattr(code, "co_filename", None), str):
        return f"{code.co_filename}:{code.co_firstlineno}"
    return None


def in_words(receiver: Any) -> str:
    """Name ``receiver`` with its place, as messages do: ``note (shop.py:7)``."""
    place = location(receiver)
    return name_of(receiver) if place is None else f"{name_of(receiver)} ({place})"
