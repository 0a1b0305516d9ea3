"""Keeps the former import paths and names of durable receivers working, with a warning."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Final
from warnings import warn

__all__ = ["register_moved_modules", "warn_renamed"]

_MOVED: Final = {
    "aldis.durable.facts": "aldis.durable.types",
    "aldis.durable.memory": "aldis.durable.store.memory",
    "aldis.durable.sql": "aldis.durable.store.sql",
    "aldis.durable.sql.schema": "aldis.durable.store.sql.migrate",
    "aldis.durable.sql.sqlite": "aldis.durable.store.sql.connection",
    "aldis.durable.sql.store": "aldis.durable.store.sql.store",
    "aldis.durable.sql.tables": "aldis.durable.store.sql.tables",
}

_RENAMED: Final = {
    "Choice": "DeliveryFilter",
    "Claimed": "ClaimedDelivery",
    "Due": "DueReceiver",
    "Failure": "AttemptFailure",
    "Load": "ReceiverStats",
    "SUSPECT_AFTER": "QUARANTINE_AFTER",
}


class _MovedModule(ModuleType):
    """A module under its former name: it passes each name on, with a warning."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        module = import_module(_MOVED[self.__name__])
        new_name = _RENAMED.get(name, name)
        value = getattr(module, new_name)
        warn_renamed(f"{self.__name__}.{name}", f"{module.__name__}.{new_name}")
        return value


def register_moved_modules() -> None:
    """Let imports find the modules under their former names."""
    for name in _MOVED:
        module = _MovedModule(name)
        module.__path__ = []  # a package, for the import of a module inside it
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        setattr(sys.modules[parent], last, module)


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller of the calling function that ``old`` is now called ``new``."""
    message = f"{old} is now {new}; the old name will go away"
    warn(message, DeprecationWarning, stacklevel=3)
