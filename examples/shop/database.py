"""Products, orders, the journal and the outbox, in SQLite through SQLAlchemy."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import Flask, current_app, g
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from aldis.durable import Outbox
from aldis.durable.store.sql.migrate import upgrade
from aldis.flask import Aldis
from aldis.observe import TraceOption

SCHEMA = Path(__file__).with_name("schema.sql")


class OutOfStockError(Exception):
    """A customer wants more pieces of a product than the shop has."""


@dataclass(frozen=True)
class Product:
    """A product that the shop sells."""

    id: int
    name: str
    cents: int
    left: int

    @property
    def price(self) -> Decimal:
        """The price of one piece."""
        return money(self.cents)


def money(cents: int) -> Decimal:
    """Convert cents to an amount such as ``Decimal("12.50")``."""
    return Decimal(cents).scaleb(-2)


def prepare(app: Flask, trace: TraceOption | None) -> None:
    """Create the tables of ``app`` if its database is new, and give the app an outbox.

    Args:
        app: The app.
        trace: Which requests to print; see :class:`aldis.flask.Aldis`.
    """
    with closing(sqlite3.connect(app.config["DATABASE"])) as new:
        new.executescript(SCHEMA.read_text())
    engine = app.extensions["engine"] = create_engine(f"sqlite:///{app.config['DATABASE']}")
    upgrade(engine)  # the outbox's own tables; `aldis db upgrade` does the same
    # Immediate: of two customers who pay at the same moment, one waits.
    Aldis(app, outbox=Outbox(session, engine=engine, immediate=True), trace=trace)
    app.teardown_appcontext(_close_session)


def close(app: Flask) -> None:
    """Close the database connections of ``app``."""
    app.extensions["engine"].dispose()


def _close_session(error: BaseException | None) -> None:
    found = g.pop("session", None)
    if found is not None:
        found.close()


def session() -> Session:
    """Return the session of this request or delivery; the first call opens it."""
    found: Session | None = g.get("session")
    if found is None:
        found = g.session = Session(current_app.extensions["engine"])
    return found


def _execute(statement: str, **values: object) -> Sequence[Any]:
    """Execute a statement and return its rows, if it has any."""
    result = session().execute(text(statement), values)
    return result.all() if result.returns_rows else ()


@contextmanager
def transaction() -> Iterator[None]:
    """Commit the statements of a ``with`` block together, or roll them back on an error."""
    with session().begin():
        yield


def products() -> list[Product]:
    """Return all products, sold out or not."""
    rows = _execute("SELECT id, name, cents, stock FROM product ORDER BY id")
    return [Product(*row) for row in rows]


def take(product_id: int, quantity: int) -> int:
    """Reduce the stock of a product and return how many pieces are left.

    Raises:
        OutOfStockError: The stock is too small.
    """
    rows = _execute(
        "UPDATE product SET stock = stock - :quantity WHERE id = :id AND stock >= :quantity "
        "RETURNING stock",
        id=product_id,
        quantity=quantity,
    )
    if not rows:
        message = f"there are no {quantity} pieces of product {product_id} left"
        raise OutOfStockError(message)
    return int(rows[0][0])


def place_order(cart: Mapping[int, int]) -> tuple[int, Decimal]:
    """Record an order and return its id and its total."""
    cents = sum(product.cents * cart.get(product.id, 0) for product in products())
    ((order_id,),) = _execute(
        'INSERT INTO "order" (cents) VALUES (:cents) RETURNING id', cents=cents
    )
    return int(order_id), money(cents)


def takings() -> list[Decimal]:
    """Return the total of each order."""
    return [money(cents) for (cents,) in _execute('SELECT cents FROM "order"')]


def total(order_id: int) -> Decimal | None:
    """Return the total of an order, or ``None`` if the order does not exist."""
    rows = _execute('SELECT cents FROM "order" WHERE id = :id', id=order_id)
    return money(rows[0][0]) if rows else None


def note(order_id: int, entry: str) -> None:
    """Write a line about an order into the journal."""
    _execute(
        "INSERT INTO journal (order_id, entry) VALUES (:order_id, :entry)",
        order_id=order_id,
        entry=entry,
    )


def journal(order_id: int) -> list[str]:
    """Return the journal of an order."""
    rows = _execute("SELECT entry FROM journal WHERE order_id = :id ORDER BY id", id=order_id)
    return [entry for (entry,) in rows]
