"""Tools for the tests of applications and of adapters.

The pytest plugin is :mod:`aldis.testing.plugin`. The other modules do not need pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from aldis.testing.record import Recording, Sent, record
from aldis.testing.restored import restored_subscriptions
from aldis.testing.wired import assert_wired

if TYPE_CHECKING:
    from aldis.durable.store.memory import MemoryStore
    from aldis.testing.draining import Drained, adrain, drain
    from aldis.testing.pretending import delivering

__all__ = [
    "Drained",
    "MemoryStore",
    "Recording",
    "Sent",
    "adrain",
    "assert_wired",
    "delivering",
    "drain",
    "record",
    "restored_subscriptions",
]

# These names need SQLAlchemy, which is optional, so their modules are imported at the first use.
_DRAINING: Final = "aldis.testing.draining"
_HOMES: Final = {
    "MemoryStore": "aldis.durable.store.memory",
    "delivering": "aldis.testing.pretending",
    **dict.fromkeys(("Drained", "adrain", "drain"), _DRAINING),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
