"""What is done about it, in the order in which it is connected.

The functions at the top of this module serve every app of the process. Those inside
:func:`connect_to` serve one app, and are connected for that app as their sender.
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
    """Say what is left of each product. When there is not enough, raise: nobody has paid then."""
    for product_id, quantity in items.items():
        left = database.take(product_id, quantity)
        stock_changed.send(sender, product_id=product_id, left=left)  # a send inside a receiver


@stock_changed.connect
def watch_shelves(sender: Branch, *, product_id: int, left: int) -> None:
    """Warn in time. Nobody listens to that signal yet; sending it is no error."""
    if left <= LOW:
        stock_low.send(sender, product_id=product_id, left=left)


@order_paid.connect
def enter_in_books(sender: Branch, *, order_id: int, total: Decimal, **extra: Any) -> None:
    """Write down what was earned."""
    database.note(order_id, f"{total} taken at {sender.name}")


@order_paid.connect
@robust  # the customer has paid: an error here is logged, and goes no further
def print_label(sender: Branch, *, order_id: int, note: str = "", **extra: Any) -> None:
    """Print the customer's note on the parcel."""
    if len(note) > LABEL_WIDTH:
        message = f"a label has room for {LABEL_WIDTH} characters, not for {len(note)}"
        raise ValueError(message)
    database.note(order_id, f"label printed: {note or 'no note'}")


@order_paid.connect
@once  # for the first order only, whatever happens on other threads
def ring_the_bell(sender: Branch, *, order_id: int, **extra: Any) -> None:
    """Celebrate."""
    database.note(order_id, "the bell was rung: it is the first order")


@order_paid.connect_via(MARKET)  # for this sender only
def call_the_courier(sender: Branch, *, order_id: int, **extra: Any) -> None:
    """Have the parcel carried away: the market stall has no room for it."""
    database.note(order_id, "courier called")


@order_paid.connect
@durable("shop.print_receipt")  # recorded with the order; a worker prints it, come what may
def print_receipt(sender: Branch, *, order_id: int, total: Decimal, **extra: Any) -> None:
    """Print the receipt. A worker that is killed here has not done it: it is done again."""
    sleep(current_app.config["PRINTER_SECONDS"])  # before it writes: SQLite has one writer
    current_delivery().session  # noqa: B018 - what is written below is committed with the delivery
    database.note(order_id, f"receipt printed: {total}")


def connect_to(app: Flask) -> None:
    """Connect what concerns ``app`` alone to Flask's own signals."""

    @got_request_exception.connect_via(app)
    def count_failure(sender: Flask, *, exception: BaseException, **extra: Any) -> None:
        sender.extensions["failures"] += 1

    @request_finished.connect_via(app)
    def name_the_engine(sender: Flask, *, response: Response, **extra: Any) -> None:
        response.headers["X-Signals"] = f"aldis {aldis.__version__}"

    app.extensions["failures"] = 0
