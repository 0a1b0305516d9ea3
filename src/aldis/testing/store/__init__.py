"""What every store of durable deliveries has to do, as tests: for those who write one.

Derive a class from :class:`StoreSuite` in a test module and say how to make the store; pytest runs
the rest::

    class TestMongoStore(StoreSuite):
        @pytest.fixture
        def store(self, mongo):
            return MongoStore(mongo)
"""

from __future__ import annotations

from aldis.testing.store.claiming import ClaimTests
from aldis.testing.store.leases import LeaseTests
from aldis.testing.store.operating import OperatorTests
from aldis.testing.store.ordering import OrderTests
from aldis.testing.store.outcomes import OutcomeTests
from aldis.testing.store.racing import RaceTests
from aldis.testing.store.sending import SenderTests

__all__ = ["StoreSuite"]


class StoreSuite(
    SenderTests, ClaimTests, OutcomeTests, LeaseTests, OrderTests, OperatorTests, RaceTests
):
    """The tests. Each takes a fixture ``store``.

    It returns a new, empty :class:`Store <aldis.durable.store.Store>`, which threads may use
    together. Some tests wait, for a second or so, by :meth:`later`: override that if your
    store's clock can be moved, and set ``delay`` to, say, 10 (it is less than 60).
    """
