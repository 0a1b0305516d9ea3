from typing import Any

from huey import SqliteHuey

from benchmarks.durable.systems import Receive, UnsupportedError

DISTRIBUTIONS = ("huey",)
_NAME = "count"


class System:
    """Huey on SQLite, in WAL mode with ``synchronous = FULL``.

    Args:
        place: The file.
        poll_s: The interval of its polls, in seconds. ``None`` is Huey's default.
    """

    def __init__(self, place: str, *, poll_s: float | None = None) -> None:
        self._poll_s = poll_s
        self._huey = SqliteHuey("benchmark", filename=place)
        self._receive: Receive | None = None
        self._task = self._huey.task(name=_NAME)(self._count)

    def install(self) -> None:
        """Do nothing: Huey has created its tables."""

    def enqueue(self, order_ids: range) -> None:
        for order_id in order_ids:
            self._task(order_id=order_id)

    def together(self, order_ids: range) -> None:
        raise UnsupportedError("it has no transaction to offer")

    def fill(self, count: int) -> None:
        """Write the same as ``enqueue``, in one transaction."""
        storage: Any = self._huey.storage
        rows = (
            (storage.name, self._huey.serialize_task(self._task.s(order_id=order_id)))
            for order_id in range(count)
        )
        with storage.db(commit=True) as cursor:
            cursor.executemany("INSERT INTO task (queue, data, priority) VALUES (?, ?, 0)", rows)

    def left(self) -> int:
        return int(self._huey.pending_count())

    def work(self, receive: Receive) -> None:
        self._receive = receive
        options: dict[str, Any] = {"workers": 1, "worker_type": "thread"}
        if self._poll_s is not None:
            options |= {"initial_delay": self._poll_s, "max_delay": self._poll_s}
        self._huey.create_consumer(**options).run()

    def _count(self, order_id: int) -> None:
        if self._receive is not None:
            self._receive(order_id)
