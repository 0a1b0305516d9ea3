"""Products, orders and a journal in SQLite, with nothing but the standard library."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from flask import Flask, current_app, g

SCHEMA = Path(__file__).with_name("schema.sql")


class OutOfStockError(Exception):
    """There is less of a product than somebody wants to buy."""


@dataclass(frozen=True)
class Product:
    """Something on the shelf."""

    id: int
    name: str
    cents: int
    left: int

    @property
    def price(self) -> Decimal:
        """What one of it costs."""
        return money(self.cents)


def money(cents: int) -> Decimal:
    """Write cents as people do: ``Decimal("12.50")``."""
    return Decimal(cents).scaleb(-2)


def prepare(app: Flask) -> None:
    """Fill the database of ``app`` if it is new, and close each request's connection."""
    app.teardown_appcontext(_close)
    with closing(sqlite3.connect(app.config["DATABASE"])) as new:
        new.executescript(SCHEMA.read_text())


def _close(error: BaseException | None) -> None:
    connection = g.pop("connection", None)
    if connection is not None:
        connection.close()


def connection() -> sqlite3.Connection:
    """Return this request's connection, opened when it is first asked for."""
    found: sqlite3.Connection | None = g.get("connection")
    if found is None:
        found = g.connection = sqlite3.connect(current_app.config["DATABASE"], isolation_level=None)
    return found


@contextmanager
def transaction() -> Iterator[None]:
    """Commit what is written in a ``with`` block, or nothing of it when something raises."""
    db = connection()
    db.execute("BEGIN IMMEDIATE")  # two who pay at the same moment wait for each other
    with db:
        yield


def products() -> list[Product]:
    """Return all there is, sold out or not."""
    return [
        Product(*row)
        for row in connection().execute("SELECT id, name, cents, stock FROM product ORDER BY id")
    ]


def take(product_id: int, quantity: int) -> int:
    """Take something off the shelf and return how much is left.

    Raises:
        OutOfStockError: There is not enough.
    """
    taken = connection().execute(
        "UPDATE product SET stock = stock - :quantity WHERE id = :id AND stock >= :quantity "
        "RETURNING stock",
        {"id": product_id, "quantity": quantity},
    )
    row = taken.fetchone()
    if row is None:
        message = f"there are no {quantity} pieces of product {product_id} left"
        raise OutOfStockError(message)
    return int(row[0])


def place_order(cart: Mapping[int, int]) -> tuple[int, Decimal]:
    """Record an order of these quantities, and return its number and what it costs."""
    cents = sum(product.cents * cart.get(product.id, 0) for product in products())
    placed = connection().execute('INSERT INTO "order" (cents) VALUES (?) RETURNING id', (cents,))
    return int(placed.fetchone()[0]), money(cents)


def takings() -> list[Decimal]:
    """Return what was paid for each order."""
    return [money(cents) for (cents,) in connection().execute('SELECT cents FROM "order"')]


def note(order_id: int, entry: str) -> None:
    """Write a line about an order into the journal."""
    connection().execute("INSERT INTO journal (order_id, entry) VALUES (?, ?)", (order_id, entry))


def journal(order_id: int) -> list[str]:
    """Return what was noted about an order."""
    rows = connection().execute(
        "SELECT entry FROM journal WHERE order_id = ? ORDER BY id", (order_id,)
    )
    return [entry for (entry,) in rows]
