"""What can happen in the shop.

Each function declares a signal: its name, its doc, who sends it and what it carries. None of them
is ever called. A receiver that does not fit is refused when it connects, and a type checker knows
both ends.
"""

from dataclasses import dataclass
from decimal import Decimal

from aldis import Namespace
from aldis.durable import register_sender

shop = Namespace()


@dataclass(frozen=True)
class Branch:
    """A place where the shop hands out what it sold: the sender of its signals."""

    name: str


HARBOUR = Branch("Harbour")
MARKET = Branch("Market")
BRANCHES = {branch.name: branch for branch in (HARBOUR, MARKET)}

for branch in BRANCHES.values():  # so that a branch can be written down, and found by a worker
    register_sender(branch.name, branch)


@shop.define
def cart_changed(sender: Branch, /, *, product_id: int, quantity: int) -> None:
    """Sent when a visitor puts something into the cart or takes it out."""


@shop.define
def order_paid(
    sender: Branch, /, *, order_id: int, total: Decimal, items: dict[int, int], note: str = ""
) -> None:
    """Sent when an order is paid, before it is committed: a receiver that raises undoes it.

    ``items`` has the quantity of each product, by the product's id.
    """


@shop.define
def stock_changed(sender: Branch, /, *, product_id: int, left: int) -> None:
    """Sent when there is less or more of a product than before."""


@shop.define
def stock_low(sender: Branch, /, *, product_id: int, left: int) -> None:
    """Sent when a product will soon be sold out."""
