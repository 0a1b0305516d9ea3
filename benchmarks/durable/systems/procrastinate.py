from typing import Any

import procrastinate
import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

from benchmarks.durable.systems import Receive

DISTRIBUTIONS = ("procrastinate", "psycopg")
_NAME = "count"


class System:
    """Procrastinate, whose workers keep finished rows by default.

    Args:
        place: The URL of the database.
        settings: Options of its worker.
    """

    def __init__(self, place: str, **settings: Any) -> None:
        self._place = place
        self._settings = settings
        self._app = App(connector=SyncPsycopgConnector(conninfo=place, min_size=1, max_size=1))
        self._task: Any = None

    def install(self) -> None:
        self._app.open()
        self._app.schema_manager.apply_schema()
        self._task = self._app.configure_task(_NAME)

    def enqueue(self, order_ids: range) -> None:
        for order_id in order_ids:
            self._task.defer(order_id=order_id)

    def together(self, order_ids: range) -> None:
        self._task.batch_defer(*({"order_id": order_id} for order_id in order_ids))

    def fill(self, count: int) -> None:
        with psycopg.connect(self._place) as connection:
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args) "
                "SELECT 'default', %s, jsonb_build_object('order_id', n) "
                "FROM generate_series(1, %s) AS n",
                [_NAME, count],
            )
            connection.execute("ANALYZE")

    def left(self) -> int:
        with psycopg.connect(self._place) as connection:
            row = connection.execute(
                "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
            ).fetchone()
        return row[0] if row else 0

    def work(self, receive: Receive) -> None:
        app = procrastinate.App(connector=PsycopgConnector(conninfo=self._place))

        @app.task(name=_NAME)
        async def count(order_id: int) -> None:
            receive(order_id)

        app.run_worker(**self._settings)
