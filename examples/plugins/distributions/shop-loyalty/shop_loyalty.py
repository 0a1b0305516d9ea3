"""Points for loyal customers: a plugin that listens to the shop and has a signal of its own."""

# ruff: noqa: INP001 - a distribution of this one module

from decimal import Decimal
from typing import Any

from aldis.plugins import SignalMapping
from examples.plugins.extensions import extensions
from examples.shop import database
from examples.shop.signals import Branch, order_paid


@extensions.define
def loyalty_points_given(sender: Branch, /, *, order_id: int, points: int) -> None:
    """Sent when an order has earned points."""


class Loyalty:
    """Gives one point for every ten units of money."""

    def get_signal_subscriptions(self) -> SignalMapping:
        """Listen to the shop, and to another plugin that may be missing."""
        # By name: an import from a plugin that is not installed would fail.
        stocktake_finished = extensions.signal("stocktake_finished")
        return {order_paid: [self.give_points], stocktake_finished: [self.start_anew]}

    def give_points(self, sender: Branch, *, order_id: int, total: Decimal, **extra: Any) -> None:
        """Record the points of an order."""
        points = int(total // 10)
        database.note(order_id, f"{points} points given")
        loyalty_points_given.send(sender, order_id=order_id, points=points)

    def start_anew(self, sender: Branch, **extra: Any) -> None:
        """Expire all points."""
