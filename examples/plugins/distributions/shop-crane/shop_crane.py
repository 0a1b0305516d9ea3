"""A crane for heavy orders: a plugin that misspells the name of its signal."""

# ruff: noqa: INP001 - a distribution of this one module

from typing import Any

from aldis.plugins import SignalMapping
from examples.shop.signals import Branch, shop


class Crane:
    """Would lift the parcels of paid orders."""

    def get_signal_subscriptions(self) -> SignalMapping:
        """Listen to ``order_payed``, which the shop never sends."""
        return {shop.signal("order_payed"): [self.lift]}

    def lift(self, sender: Branch, **extra: Any) -> None:
        """Lift a parcel."""
