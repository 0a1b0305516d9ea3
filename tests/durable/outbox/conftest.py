"""The receiver that the tests of the outbox share."""

import pytest

from aldis.durable import durable
from tests.durable.scenes import order_paid


@pytest.fixture
def receipt(aldis_clean):
    """Give a durable receiver of ``order_paid``."""

    @order_paid.connect
    @durable("billing.receipt")
    def receipt(sender, **extra): ...

    return receipt
