"""The tests that every store of durable deliveries must pass.

If you write a store, derive a class from :class:`StoreSuite` in a test module and add a fixture
``store``. Pytest runs the inherited tests::

    class TestMongoStore(StoreSuite):
        @pytest.fixture
        def store(self, mongo):
            return MongoStore(mongo)
"""

from __future__ import annotations

from aldis.testing.store.admin import OperatorTests
from aldis.testing.store.claims import ClaimTests
from aldis.testing.store.leases import LeaseTests
from aldis.testing.store.ordering import OrderTests
from aldis.testing.store.races import RaceTests
from aldis.testing.store.recording import SenderTests
from aldis.testing.store.results import ResultTests

__all__ = ["StoreSuite"]


class StoreSuite(
    SenderTests, ClaimTests, ResultTests, LeaseTests, OrderTests, OperatorTests, RaceTests
):
    """The tests of a store.

    The fixture ``store`` returns a new, empty :class:`~aldis.durable.store.Store` that several
    threads can use. Some tests call :meth:`later` and wait for about a second. If your tests can
    move the store's clock, override :meth:`later`, and set ``delay`` to 10 (at most 60).
    """
