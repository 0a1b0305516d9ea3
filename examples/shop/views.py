"""The pages. They send the signals; the receivers do everything else."""

from collections.abc import Mapping
from typing import TypeVar

from flask import Blueprint, flash, render_template, request, session
from werkzeug.exceptions import BadRequest, NotFound

from examples.shop import database
from examples.shop.signals import BRANCHES, HARBOUR, cart_changed, order_paid

T = TypeVar("T")

MOST = 999  # of one product in a cart

bp = Blueprint("shop", __name__)


@bp.get("/")
def shelf() -> str:
    """Show the products."""
    return render_template("shelf.html", products=database.products())


@bp.get("/cart")
def cart() -> str:
    """Show the visitor's cart."""
    products = {product.id: product for product in database.products()}
    lines = [(products[id_], quantity) for id_, quantity in _cart().items()]
    return render_template("cart.html", lines=lines, branches=BRANCHES)


@bp.post("/cart")
def fill_cart() -> str:
    """Set the quantity of one product; 0 removes it. A repeated request changes nothing."""
    product = _chosen("product", {str(each.id): each for each in database.products()})
    quantity = min(max(0, request.form.get("quantity", default=1, type=int)), MOST)
    contents = {**_cart(), product.id: quantity}
    session["cart"] = {str(id_): count for id_, count in contents.items() if count}
    cart_changed.send(HARBOUR, product_id=product.id, quantity=quantity)
    flash(f"In the cart: {quantity} x {product.name}")
    return cart()


@bp.post("/pay")
def pay() -> str | tuple[str, int]:
    """Sell the content of the cart. The order and the receivers' writes are one transaction."""
    branch = _chosen("branch", BRANCHES)
    note = request.form.get("note", "")
    items = _cart()
    if not items:
        flash("There is nothing in the cart")
        return cart()
    try:
        with database.transaction():
            order_id, total = database.place_order(items)
            order_paid.send(branch, order_id=order_id, total=total, items=items, note=note)
    except database.OutOfStockError as problem:
        flash(f"Nothing was sold: {problem}")
        return cart(), 409
    session.pop("cart")
    journal = database.journal(order_id)
    return render_template("receipt.html", order_id=order_id, total=total, journal=journal)


@bp.get("/orders/<int:order_id>")
def order(order_id: int) -> str:
    """Show a paid order with its journal."""
    total = database.total(order_id)
    if total is None:
        raise NotFound
    journal = database.journal(order_id)
    return render_template("receipt.html", order_id=order_id, total=total, journal=journal)


@bp.get("/statistics")
def statistics() -> str:
    """Show the average order. It has a bug: before the first order there is no average."""
    takings = database.takings()
    return render_template("statistics.html", average=sum(takings) / len(takings))


def _cart() -> dict[int, int]:
    """Return the quantity of each product in this visitor's cart, by its id."""
    return {int(id_): quantity for id_, quantity in session.get("cart", {}).items()}


def _chosen(field: str, choices: Mapping[str, T]) -> T:
    """Return the choice that the form's ``field`` names, or answer 400."""
    try:
        return choices[request.form[field]]
    except KeyError:
        raise BadRequest(f"There is no such {field}.") from None
