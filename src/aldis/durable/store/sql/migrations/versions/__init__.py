"""The revisions, the oldest first.

A released revision never changes. They are imported by name, so frozen programs and zip files have
them, too.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

from aldis.durable.store.sql.migrations.versions import (
    revision_0001,
    revision_0002,
    revision_0003,
    revision_0004,
)

__all__ = ["MODULES"]

#: The modules of the revisions.
MODULES: Final[tuple[ModuleType, ...]] = (
    revision_0001,
    revision_0002,
    revision_0003,
    revision_0004,
)
