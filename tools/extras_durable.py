"""Send to a durable receiver with the extra durable alone; tools/extras.py runs this."""

from __future__ import annotations

from importlib.util import find_spec
from threading import Timer

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from aldis import Namespace
from aldis.durable import Outbox, Worker, durable
from aldis.durable.store.sql.migrate import upgrade

engine = create_engine("sqlite:///extras.db")
outbox = Outbox(engine=engine)
worker = Worker(outbox)
shop = Namespace()
arrived: list[int] = []


@shop.define
def paid(sender: str, /, *, number: int) -> None:
    """Sent when an order is paid."""


@paid.connect
@durable("extras.receipt")
def receipt(sender: str, *, number: int, **extra: object) -> None:  # noqa: ARG001
    """Record the call and stop the worker."""
    arrived.append(number)
    worker.stop()


if __name__ == "__main__":
    upgrade(engine)
    with Session(engine) as session, outbox.using(session):
        paid.send("harbour", number=7)
        session.commit()
    giving_up = Timer(20, worker.stop)
    giving_up.start()
    worker.run()
    giving_up.cancel()
    if arrived != [7]:
        message = f"not delivered: {arrived}"
        raise SystemExit(message)
    print("delivered with" if find_spec("greenlet") else "delivered without", "greenlet")
