"""Stores: where deliveries are kept."""

from __future__ import annotations

from typing import Any

from aldis.durable._old_names import warn_renamed
from aldis.durable.store.base import Notifier, Store

__all__ = ["Notifier", "Store"]


def __getattr__(name: str) -> Any:
    if name != "Waker":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    warn_renamed(f"{__name__}.Waker", f"{__name__}.Notifier")
    return Notifier
