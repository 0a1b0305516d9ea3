"""A crane for heavy orders: a plugin that misspells what it listens to, and never hears it."""

# ruff: noqa: INP001 - a distribution of this one module

from typing import Any

from aldis.plugins import SignalMapping
from examples.shop.signals import Branch, shop


class Crane:
    """Would lift what was paid for."""

    def get_signal_subscriptions(self) -> SignalMapping:
        """Listen to ``order_payed``, which nobody sends."""
        return {shop.signal("order_payed"): [self.lift]}

    def lift(self, sender: Branch, **extra: Any) -> None:
        """Lift it."""
