"""For the tests of applications, and of adapters to aldis.

The pytest plugin is :mod:`aldis.testing.plugin`; nothing here needs pytest.
"""

from __future__ import annotations

from aldis.testing.record import Recording, Sent, record
from aldis.testing.restored import restored_subscriptions
from aldis.testing.wired import assert_wired

__all__ = ["Recording", "Sent", "assert_wired", "record", "restored_subscriptions"]
