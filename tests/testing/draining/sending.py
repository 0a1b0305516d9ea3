"""Sends that the tests drain."""

from tests.durable.support import order_paid


def send(outbox, session, *order_ids):
    """Send and commit."""
    with outbox.using(session):
        session.begin()
        for order_id in order_ids:
            order_paid.send("harbour", order_id=order_id)
        session.commit()
