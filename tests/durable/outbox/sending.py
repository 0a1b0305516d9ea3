"""Sends to the outbox and reads it."""

from tests.durable.support import order_paid, rows


def send(order_id):
    """Send."""
    order_paid.send("harbour", order_id=order_id)


def sent(outbox):
    """Return the orders whose deliveries are recorded."""
    return [int(row.payload.partition('"order_id":')[2].split("}")[0]) for row in rows(outbox)]
