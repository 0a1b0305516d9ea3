"""A loop by hand on PostgreSQL: the lowest cost of a durable receiver."""

import json

import psycopg

from benchmarks.durable.systems import Receive

DISTRIBUTIONS = ("psycopg",)
_TABLES = """
CREATE TABLE waiting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver text NOT NULL,
    payload jsonb NOT NULL,
    state smallint NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON waiting (id) WHERE state = 0;
CREATE TABLE effect (order_id integer NOT NULL);
"""
_INSERT = "INSERT INTO waiting (receiver, payload) VALUES (%s, %s)"
_CLAIM = """
UPDATE waiting SET state = 1 WHERE id IN (
    SELECT id FROM waiting WHERE state = 0 ORDER BY id FOR UPDATE SKIP LOCKED LIMIT %s
) RETURNING payload
"""
_EFFECT = "INSERT INTO effect (order_id) VALUES (%s)"


class System:
    """Claims, marks and writes the effect in one transaction, and commits after the run.

    Args:
        place: The URL of the database.
        batch: How many rows share a transaction.
        effect: Whether the receiver writes.
    """

    def __init__(self, place: str, *, batch: int = 1, effect: bool = True) -> None:
        self._connection = psycopg.connect(place)
        self._batch = batch
        self._effect = effect

    def install(self) -> None:
        self._connection.execute(_TABLES)
        self._connection.commit()

    def enqueue(self, order_ids: range) -> None:
        for order_id in order_ids:
            self._connection.execute(_INSERT, _row(order_id))
            self._connection.commit()

    def together(self, order_ids: range) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_INSERT, map(_row, order_ids))
        self._connection.commit()

    def fill(self, count: int) -> None:
        self._connection.execute(
            "INSERT INTO waiting (receiver, payload) "
            "SELECT 'count', jsonb_build_object('order_id', n) FROM generate_series(1, %s) AS n",
            [count],
        )
        self._connection.execute("ANALYZE")
        self._connection.commit()

    def left(self) -> int:
        row = self._connection.execute("SELECT count(*) FROM waiting WHERE state = 0").fetchone()
        self._connection.commit()
        return row[0] if row else 0

    def work(self, receive: Receive) -> None:
        connection = self._connection
        claimed = True
        while claimed:
            claimed = False
            for (payload,) in connection.execute(_CLAIM, [self._batch]).fetchall():
                claimed = True
                receive(payload["order_id"])
                if self._effect:
                    connection.execute(_EFFECT, [payload["order_id"]])
            connection.commit()


def _row(order_id: int) -> tuple[str, str]:
    return "count", json.dumps({"order_id": order_id})
