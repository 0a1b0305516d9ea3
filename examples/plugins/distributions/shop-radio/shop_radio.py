"""News over the radio: a plugin that cannot be connected, half-way through its mapping."""

# ruff: noqa: INP001 - a distribution of this one module

from typing import Any

from aldis.plugins import SignalMapping
from examples.shop.signals import Branch, order_paid, stock_low


class Radio:
    """Would tell all ships."""

    def get_signal_subscriptions(self) -> SignalMapping:
        """Listen to one signal, and fail to listen to the next."""
        return {
            order_paid: [lambda sender, **extra: self.tell("An order!")],
            stock_low: [{"reciever": self.warn}],
        }

    def warn(self, sender: Branch, **extra: Any) -> None:
        """Warn of empty shelves."""
        self.tell("Hurry!")

    def tell(self, news: str) -> None:
        """Say it over the radio."""
