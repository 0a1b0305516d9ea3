"""The receivers of the shop, in the order in which they are connected.

The functions at the top of this module serve every app of the process. The functions inside
:func:`connect_to` serve one app: they are connected with that app as their sender.
"""

from decimal import Decimal
from time import sleep
from typing import Any

from flask import Flask, Response, current_app, got_request_exception, request_finished

import aldis
from aldis.durable import current_delivery, durable
from aldis.receivers import once, robust
from examples.shop import database
from examples.shop.signals import MARKET, Branch, order_paid, stock_changed, stock_low

LABEL_WIDTH = 24
LOW = 3


@order_paid.connect
def take_from_stock(sender: Branch, *, items: dict[int, int], **extra: Any) -> None:
    """Reduce the stock. If it is too small, raise: then the order is not paid."""
    for product_id, quantity in items.items():
        left = database.take(product_id, quantity)
        stock_changed.send(sender, product_id=product_id, left=left)  # a receiver may send, too


@stock_changed.connect
def watch_shelves(sender: Branch, *, product_id: int, left: int) -> None:
    """Warn when a product is nearly sold out. A signal without receivers may be sent, too."""
    if left <= LOW:
        stock_low.send(sender, product_id=product_id, left=left)


@order_paid.connect
def enter_in_books(sender: Branch, *, order_id: int, total: Decimal, **extra: Any) -> None:
    """Record the revenue."""
    database.note(order_id, f"{total} taken at {sender.name}")


@order_paid.connect
@robust  # the customer has paid, so an error here is logged and not raised
def print_label(sender: Branch, *, order_id: int, note: str = "", **extra: Any) -> None:
    """Print the customer's note on the parcel."""
    if len(note) > LABEL_WIDTH:
        message = f"a label has room for {LABEL_WIDTH} characters, not for {len(note)}"
        raise ValueError(message)
    database.note(order_id, f"label printed: {note or 'no note'}")


@order_paid.connect
@once  # for the first order only, even if two threads send at the same time
def ring_the_bell(sender: Branch, *, order_id: int, **extra: Any) -> None:
    """Celebrate the first order."""
    database.note(order_id, "the bell was rung: it is the first order")


@order_paid.connect_via(MARKET)  # for this sender only
def call_the_courier(sender: Branch, *, order_id: int, **extra: Any) -> None:
    """Call a courier: the market stall has no room for parcels."""
    database.note(order_id, "courier called")


@order_paid.connect
@durable("shop.print_receipt")  # recorded with the order; a worker runs it, even after a crash
def print_receipt(sender: Branch, *, order_id: int, total: Decimal, **extra: Any) -> None:
    """Print the receipt. If the worker is killed in here, another worker runs it again."""
    sleep(current_app.config["PRINTER_SECONDS"])  # before it writes, since SQLite has one writer
    current_delivery().session  # noqa: B018 - the line below is committed with the delivery
    database.note(order_id, f"receipt printed: {total}")


def connect_to(app: Flask) -> None:
    """Connect receivers for ``app`` alone to Flask's own signals."""

    @got_request_exception.connect_via(app)
    def count_failure(sender: Flask, *, exception: BaseException, **extra: Any) -> None:
        sender.extensions["failures"] += 1

    @request_finished.connect_via(app)
    def name_the_engine(sender: Flask, *, response: Response, **extra: Any) -> None:
        response.headers["X-Signals"] = f"aldis {aldis.__version__}"

    app.extensions["failures"] = 0
