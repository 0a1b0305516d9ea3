import base64
import json
from typing import Any
from uuid import uuid4

import redis
from celery import Celery

from benchmarks.durable.systems import Receive, UnsupportedError

DISTRIBUTIONS = ("celery", "kombu", "redis")
_NAME = "count"
_QUEUE = "celery"
_CHUNK = 2000


class System:
    """Celery on Redis, with late acknowledgement.

    Args:
        place: The URL of the database in Redis.
        pool: The pool in which its worker runs tasks.
        prefetch: The number of messages that each process takes at once.
    """

    def __init__(self, place: str, *, pool: str = "prefork", prefetch: int = 4) -> None:
        self._place = place
        self._pool = pool
        self._app = Celery("benchmark", broker=place)
        self._app.conf.update(
            task_acks_late=True,
            task_ignore_result=True,
            worker_prefetch_multiplier=prefetch,
            broker_connection_retry_on_startup=True,
        )
        self._task: Any = self._app.signature(_NAME)

    def install(self) -> None:
        self._redis = redis.Redis.from_url(self._place)

    def enqueue(self, order_ids: range) -> None:
        for order_id in order_ids:
            self._app.send_task(_NAME, kwargs={"order_id": order_id})

    def together(self, order_ids: range) -> None:
        raise UnsupportedError("it knows no transaction")

    def fill(self, count: int) -> None:
        """Let Celery write one message, and add copies of it."""
        self.enqueue(range(1))
        written = self._redis.lpop(_QUEUE)
        for start in range(0, count, _CHUNK):
            copies = [_copy(written, n) for n in range(start, min(start + _CHUNK, count))]
            self._redis.lpush(_QUEUE, *copies)

    def left(self) -> int:
        return int(self._redis.llen(_QUEUE)) + int(self._redis.hlen("unacked"))

    def work(self, receive: Receive) -> None:
        @self._app.task(name=_NAME)
        def count(order_id: int) -> None:
            receive(order_id)

        self._app.worker_main(
            ["worker", "--pool", self._pool, "--concurrency", "1", "--loglevel", "ERROR"]
        )


def _copy(written: Any, order_id: int) -> str:
    """Return a copy of the message ``written`` with a new id and another order."""
    message = json.loads(written)
    arguments, _, embedded = json.loads(base64.b64decode(message["body"]))
    body = json.dumps([arguments, {"order_id": order_id}, embedded])
    message["body"] = base64.b64encode(body.encode()).decode()
    identity = str(uuid4())
    message["headers"].update(id=identity, root_id=identity)
    message["properties"].update(correlation_id=identity, delivery_tag=str(uuid4()))
    return json.dumps(message)
