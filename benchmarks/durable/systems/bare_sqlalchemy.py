"""A loop by hand on SQLAlchemy, which each app with aldis uses."""

from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import sessionmaker

from benchmarks.durable.places import prepared_engine
from benchmarks.durable.systems import Receive

DISTRIBUTIONS = ("SQLAlchemy",)
_METADATA = sa.MetaData()
_WAITING = sa.Table(
    "waiting",
    _METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("receiver", sa.String(255), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("due", sa.DateTime, nullable=False, server_default=sa.func.now()),
)
sa.Index("waiting_open", _WAITING.c.state, _WAITING.c.id)
_EFFECT = sa.Table("effect", _METADATA, sa.Column("order_id", sa.Integer, nullable=False))
_CLAIM = (
    sa.select(_WAITING.c.id, _WAITING.c.payload)
    .where(_WAITING.c.state == 0)
    .order_by(_WAITING.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_MARK = sa.update(_WAITING).where(_WAITING.c.id == sa.bindparam("identity")).values(state=1)


class System:
    """Claims, marks and writes the effect in one transaction, and commits after the run.

    Args:
        place: The URL of the database, or the file.
        through: ``core`` for a connection in each transaction, ``session`` for a session.
    """

    def __init__(self, place: str, *, through: str) -> None:
        self._engine = prepared_engine(place)
        self._sessions = sessionmaker(self._engine)
        self._through = through

    def install(self) -> None:
        _METADATA.create_all(self._engine)

    def enqueue(self, order_ids: range) -> None:
        insert = sa.insert(_WAITING)
        for order_id in order_ids:
            with self._transaction() as transaction:
                transaction.execute(insert, _row(order_id))

    def together(self, order_ids: range) -> None:
        with self._transaction() as transaction:
            transaction.execute(sa.insert(_WAITING), [_row(order_id) for order_id in order_ids])

    def fill(self, count: int) -> None:
        self.together(range(count))
        if self._engine.dialect.name == "postgresql":
            with self._engine.begin() as connection:
                connection.execute(sa.text("ANALYZE"))

    def left(self) -> int:
        with self._engine.begin() as connection:
            count = sa.select(sa.func.count()).where(_WAITING.c.state == 0)
            return connection.execute(count).scalar_one()

    def work(self, receive: Receive) -> None:
        claimed = True
        while claimed:
            with self._transaction() as transaction:
                row = transaction.execute(_CLAIM).first()
                claimed = row is not None
                if row is not None:
                    order_id = row.payload["order_id"]
                    receive(order_id)
                    transaction.execute(sa.insert(_EFFECT), {"order_id": order_id})
                    transaction.execute(_MARK, {"identity": row.id})

    def _transaction(self) -> AbstractContextManager[Any]:
        if self._through == "core":
            return self._engine.begin()
        return self._sessions.begin()


def _row(order_id: int) -> dict[str, Any]:
    return {"receiver": "count", "payload": {"order_id": order_id}}
