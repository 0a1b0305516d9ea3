import threading
from uuid import uuid4

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from benchmarks.durable.systems import Receive, UnsupportedError

DISTRIBUTIONS = ("dramatiq", "redis")
_NAME = "count"
_QUEUE = "dramatiq:default"
_CHUNK = 2000


class System:
    """Dramatiq on Redis, which acknowledges after the run.

    Args:
        place: The URL of the database in Redis.
        threads: The number of threads of its worker.
    """

    def __init__(self, place: str, *, threads: int = 8) -> None:
        self._threads = threads
        self._redis = redis.Redis.from_url(place)
        self._broker = RedisBroker(url=place)
        dramatiq.set_broker(self._broker)

    def install(self) -> None:
        self._broker.declare_queue("default")

    def enqueue(self, order_ids: range) -> None:
        for order_id in order_ids:
            self._broker.enqueue(_message(order_id))

    def together(self, order_ids: range) -> None:
        raise UnsupportedError("it knows no transaction")

    def fill(self, count: int) -> None:
        """Write the same as the script of its broker, in bulk."""
        for start in range(0, count, _CHUNK):
            messages = {}
            for order_id in range(start, min(start + _CHUNK, count)):
                identity = str(uuid4())
                message = _message(order_id).copy(options={"redis_message_id": identity})
                messages[identity] = message.encode()
            self._redis.hset(f"{_QUEUE}.msgs", mapping=messages)
            self._redis.rpush(_QUEUE, *messages)

    def left(self) -> int:
        # A message is in this hash until it is acknowledged.
        return int(self._redis.hlen(f"{_QUEUE}.msgs"))

    def work(self, receive: Receive) -> None:
        @dramatiq.actor(actor_name=_NAME)
        def count(order_id: int) -> None:
            receive(order_id)

        dramatiq.Worker(self._broker, worker_threads=self._threads).start()
        threading.Event().wait()


def _message(order_id: int) -> dramatiq.Message[None]:
    return dramatiq.Message(
        queue_name="default",
        actor_name=_NAME,
        args=(),
        kwargs={"order_id": order_id},
        options={},
    )
