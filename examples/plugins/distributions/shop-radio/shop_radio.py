"""News by radio: a plugin whose second subscription is invalid."""

# ruff: noqa: INP001 - a distribution of this one module

from typing import Any

from aldis.plugins import SignalMapping
from examples.shop.signals import Branch, order_paid, stock_low


class Radio:
    """Would send news to all ships."""

    def get_signal_subscriptions(self) -> SignalMapping:
        """Listen to one signal; the second subscription misspells a key."""
        return {
            order_paid: [lambda sender, **extra: self.tell("An order!")],
            stock_low: [{"reciever": self.warn}],
        }

    def warn(self, sender: Branch, **extra: Any) -> None:
        """Warn that a product is nearly sold out."""
        self.tell("Hurry!")

    def tell(self, news: str) -> None:
        """Send the news."""
