"""The signals of the shop.

Each function declares a signal: its name, its documentation, the type of its sender and its
arguments. aldis never calls these functions. ``connect`` refuses a receiver that does not accept
the arguments, and a type checker checks both the sends and the receivers.
"""

from dataclasses import dataclass
from decimal import Decimal

from aldis import Namespace
from aldis.durable import register_sender

shop = Namespace()


@dataclass(frozen=True)
class Branch:
    """A place where customers collect their orders: the sender of the shop's signals."""

    name: str


HARBOUR = Branch("Harbour")
MARKET = Branch("Market")
BRANCHES = {branch.name: branch for branch in (HARBOUR, MARKET)}

for branch in BRANCHES.values():  # a worker finds a recorded sender by this name
    register_sender(branch.name, branch)


@shop.define
def cart_changed(sender: Branch, /, *, product_id: int, quantity: int) -> None:
    """Sent when a visitor puts a product into the cart or takes it out."""


@shop.define
def order_paid(
    sender: Branch, /, *, order_id: int, total: Decimal, items: dict[int, int], note: str = ""
) -> None:
    """Sent when an order is paid, before the commit: a receiver that raises rolls it back.

    ``items`` maps the id of each product to its quantity.
    """


@shop.define
def stock_changed(sender: Branch, /, *, product_id: int, left: int) -> None:
    """Sent when the stock of a product changes."""


@shop.define
def stock_low(sender: Branch, /, *, product_id: int, left: int) -> None:
    """Sent when a product is nearly sold out."""
