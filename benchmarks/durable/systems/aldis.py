from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import sessionmaker

from aldis import Namespace
from aldis.durable import Outbox, Worker, current_delivery, durable
from aldis.durable.store.sql.migrate import upgrade
from aldis.durable.types import UNFINISHED, DeliveryFilter, NewDelivery
from benchmarks.durable.places import prepared_engine
from benchmarks.durable.systems import Receive

DISTRIBUTIONS = ("aldis", "SQLAlchemy")
_METADATA = sa.MetaData()
_EFFECT = sa.Table("effect", _METADATA, sa.Column("order_id", sa.Integer, nullable=False))
_SENDER = "shop"
_CHUNK = 10_000


class System:
    """A send in the transaction of a session, and the worker of ``aldis worker``.

    Args:
        place: The URL of the database, or the file.
        effect: Whether the receiver writes a row through its delivery's session.
        keys: The number of ordering keys. Without any, deliveries have no order.
    """

    def __init__(self, place: str, *, effect: bool = False, keys: int = 0) -> None:
        self._engine = prepared_engine(place)
        self._sessions = sessionmaker(self._engine)
        self._outbox = Outbox(engine=self._engine)
        self._effect = effect
        self._keys = keys
        self._receive: Receive = _nobody

        @Namespace().define
        def order_paid(sender: str, /, *, order_id: int) -> None:
            """Sent when an order was paid."""

        self._signal: Any = order_paid
        # The connection is strong, because the receiver has no other reference.
        self._signal.connect(
            durable("count", key=self._key if keys else None)(self._receiver()), weak=False
        )

    def install(self) -> None:
        upgrade(self._engine)
        _METADATA.create_all(self._engine)

    def enqueue(self, order_ids: range) -> None:
        for order_id in order_ids:
            with self._sessions.begin() as session, self._outbox.using(session):
                self._signal.send(_SENDER, order_id=order_id)

    def together(self, order_ids: range) -> None:
        with self._sessions.begin() as session, self._outbox.using(session):
            for order_id in order_ids:
                self._signal.send(_SENDER, order_id=order_id)

    def fill(self, count: int) -> None:
        """Record one send, and add copies of its row."""
        self.enqueue(range(1))
        written = self._outbox.store.find(DeliveryFilter(), limit=1)[0]
        for start in range(1, count, _CHUNK):
            with self._outbox.store.transaction() as session:
                numbers = range(start, min(start + _CHUNK, count))
                self._outbox.store.add(session, [self._like(written, each) for each in numbers])
        if self._engine.dialect.name == "postgresql":
            with self._engine.begin() as connection:
                connection.execute(sa.text("ANALYZE"))

    def left(self) -> int:
        return sum(
            count
            for load in self._outbox.store.stats()
            for state, count in load.counts.items()
            if state in UNFINISHED
        )

    def work(self, receive: Receive) -> None:
        self._receive = receive
        Worker(self._outbox).run()

    def _receiver(self) -> Any:
        """Return the receiver, which counts, or counts and writes."""

        def count(sender: str, *, order_id: int) -> None:
            self._receive(order_id)

        def count_and_write(sender: str, *, order_id: int) -> None:
            current_delivery().session.execute(sa.insert(_EFFECT), {"order_id": order_id})
            self._receive(order_id)  # last, so that a failure is not counted

        return count_and_write if self._effect else count

    def _key(self, sender: str, *, order_id: int) -> str:
        return f"{order_id % self._keys}"

    def _like(self, written: Any, order_id: int) -> NewDelivery:
        """Return a copy of the written delivery with a new id and another order."""
        return NewDelivery(
            emission_id=uuid4().hex,
            receiver=written.receiver,
            signal=written.signal,
            payload=written.payload.replace('"order_id":0', f'"order_id":{order_id}'),
            order_key=self._key(_SENDER, order_id=order_id) if self._keys else None,
        )


def _nobody(order_id: int) -> None:
    """The receiver in a process that only sends."""
