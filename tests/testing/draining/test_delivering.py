"""Calling a durable receiver directly."""

import pytest
from sqlalchemy.orm import Session

from aldis.durable import current_delivery, durable
from aldis.errors import NoDeliveryError, NoSessionError
from aldis.testing import delivering
from tests.durable.support import write, written

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestDelivering:
    def test_a_receiver_that_asks(self, engine):
        """A receiver that is called directly gets the test's session and attributes."""

        @durable("billing.receipt")
        def receipt(sender, *, order_id, **extra):
            delivery = current_delivery()
            write(delivery.session, f"{order_id} at attempt {delivery.attempt}")
            return delivery.key

        with Session(engine) as session:
            with delivering(session, attempt=3, receiver="billing.receipt", emission_id="a"):
                key = receipt("harbour", order_id=7)
            session.commit()

        assert "a:billing.receipt" == key
        assert ["7 at attempt 3"] == written(engine)

    def test_without_a_session(self):
        """Asking for the session without one explains how to give one."""
        with delivering() as delivery:
            assert delivery is current_delivery()
            assert (1, None) == (delivery.attempt, delivery.caused_by)
            with pytest.raises(NoSessionError, match=r"with delivering\(session\)"):
                _ = delivery.session

    def test_each_is_another(self):
        """Each delivery has another key, and the block restores the outer state."""
        with delivering() as first, delivering() as second:
            assert first.key != second.key
        with pytest.raises(NoDeliveryError, match=r"with aldis.testing.delivering\(session\)"):
            current_delivery()
