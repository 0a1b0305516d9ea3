"""A worker in the shop's process, which runs the durable receivers.

``aldis worker --app "examples.shop:create_app('shop.db')"`` runs one in a process of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flask import Flask

from aldis.durable import Worker

LEASE = 1.0  # seconds after which another worker may take the deliveries of a lost worker


@contextmanager
def working(app: Flask) -> Iterator[None]:
    """Run a worker in a thread while the block runs."""
    worker = Worker(
        app.extensions["aldis"].outbox,
        app=app,
        context=app.app_context,
        concurrency=1,  # SQLite has one writer
        lease=LEASE,
    )
    thread = Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()
