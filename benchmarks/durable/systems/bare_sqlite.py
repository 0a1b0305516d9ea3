"""A loop by hand on SQLite: the lowest cost of a durable receiver."""

import json
import sqlite3

from benchmarks.durable.systems import Receive

DISTRIBUTIONS = ()
_TABLES = """
CREATE TABLE waiting (
    id integer PRIMARY KEY,
    receiver text NOT NULL,
    payload text NOT NULL,
    state integer NOT NULL DEFAULT 0,
    due text NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX waiting_open ON waiting (id) WHERE state = 0;
CREATE TABLE effect (order_id integer NOT NULL);
"""
_INSERT = "INSERT INTO waiting (receiver, payload) VALUES (?, ?)"
_CLAIM = "SELECT id, payload FROM waiting WHERE state = 0 ORDER BY id LIMIT ?"
_MARK = "UPDATE waiting SET state = 1 WHERE id = ?"
_EFFECT = "INSERT INTO effect (order_id) VALUES (?)"


class System:
    """Claims, marks and writes the effect in one transaction, and commits after the run.

    The file is in WAL mode with ``synchronous = FULL``: commits survive a power cut.

    Args:
        place: The file.
        batch: How many rows share a transaction.
        effect: Whether the receiver writes.
    """

    def __init__(self, place: str, *, batch: int = 1, effect: bool = True) -> None:
        self._connection = sqlite3.connect(place, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._batch = batch
        self._effect = effect

    def close(self) -> None:
        self._connection.close()

    def install(self) -> None:
        self._connection.executescript(_TABLES)

    def enqueue(self, order_ids: range) -> None:
        execute = self._connection.execute
        for order_id in order_ids:
            execute("BEGIN IMMEDIATE")
            execute(_INSERT, _row(order_id))
            execute("COMMIT")

    def together(self, order_ids: range) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_INSERT, map(_row, order_ids))
        self._connection.execute("COMMIT")

    def fill(self, count: int) -> None:
        self.together(range(count))

    def left(self) -> int:
        (left,) = self._connection.execute(
            "SELECT count(*) FROM waiting WHERE state = 0"
        ).fetchone()
        return int(left)

    def work(self, receive: Receive) -> None:
        execute = self._connection.execute
        claimed = [()]
        while claimed:
            execute("BEGIN IMMEDIATE")
            claimed = execute(_CLAIM, [self._batch]).fetchall()
            for identity, payload in claimed:
                order_id = json.loads(payload)["order_id"]
                receive(order_id)
                if self._effect:
                    execute(_EFFECT, [order_id])
                execute(_MARK, [identity])
            execute("COMMIT")


def _row(order_id: int) -> tuple[str, str]:
    return "count", json.dumps({"order_id": order_id})
