"""Signals with and without a contract, as an application declares them."""

from decimal import Decimal

from aldis import Namespace


class Branch:
    """A sender."""


class Elsewhere:
    """An object that sends nothing here."""


shop = Namespace()


@shop.define
def order_paid(sender: Branch, /, *, order_id: int, total: Decimal, note: str = "") -> None:
    """Sent once an order is paid."""


@shop.define(name="price-asked", advisory=True)
def price_asked(sender: Branch, /, *, order_id: int) -> Decimal:
    """Sent to ask for a price."""
    raise NotImplementedError  # never called; type checkers need the return


@shop.define(mutable=True)
def page_shown(sender: object, /, *, path: str, **extra: object) -> None:
    """Sent with any other arguments."""


untyped = shop.signal("untyped")
