import asyncio
from datetime import timedelta

import asyncpg
import uvloop as fast
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.durable.systems import Receive

DISTRIBUTIONS = ("pgqueuer", "asyncpg", "uvloop")
_NAME = "count"


class System:
    """PgQueuer on asyncpg.

    Args:
        place: The URL of the database.
        batch_size: The number of rows that its worker claims at once.
        uvloop: Whether its worker runs on uvloop.
        synchronous_commit: The setting of its worker's connection. A claim or an outcome that the
            server loses in a crash runs again, so ``off`` is at least once, too.
    """

    def __init__(
        self,
        place: str,
        *,
        batch_size: int = 10,
        uvloop: bool = False,
        synchronous_commit: str = "on",
    ) -> None:
        self._place = place
        self._synchronous_commit = synchronous_commit
        self._batch_size = batch_size
        self._uvloop = uvloop

    def install(self) -> None:
        self._loop = fast.new_event_loop()
        self._connection = self._loop.run_until_complete(asyncpg.connect(self._place))
        self._queries = Queries(AsyncpgDriver(self._connection))
        self._loop.run_until_complete(self._queries.install())

    def enqueue(self, order_ids: range) -> None:
        self._loop.run_until_complete(self._enqueue(order_ids))

    def together(self, order_ids: range) -> None:
        self._loop.run_until_complete(self._together(order_ids))

    def fill(self, count: int) -> None:
        for start in range(0, count, 10_000):
            self.together(range(start, min(start + 10_000, count)))
        self._loop.run_until_complete(self._connection.execute("ANALYZE"))

    def left(self) -> int:
        # This table has a row until the outcome of the order is logged.
        return self._loop.run_until_complete(
            self._connection.fetchval("SELECT count(*) FROM pgqueuer")
        )

    def work(self, receive: Receive) -> None:
        if self._uvloop:
            fast.run(self._work(receive))
        else:
            asyncio.run(self._work(receive))

    async def _enqueue(self, order_ids: range) -> None:
        for order_id in order_ids:
            await self._queries.enqueue(_NAME, b"%d" % order_id)

    async def _together(self, order_ids: range) -> None:
        payloads: list[bytes | None] = [b"%d" % order_id for order_id in order_ids]
        await self._queries.enqueue([_NAME] * len(order_ids), payloads, [0] * len(order_ids))

    async def _work(self, receive: Receive) -> None:
        connection = await asyncpg.connect(
            self._place, server_settings={"synchronous_commit": self._synchronous_commit}
        )
        queuer = PgQueuer(AsyncpgDriver(connection))

        @queuer.entrypoint(_NAME)
        async def count(job: Job) -> None:
            receive(int(job.payload or b"0"))

        await queuer.run(dequeue_timeout=timedelta(seconds=30), batch_size=self._batch_size)
