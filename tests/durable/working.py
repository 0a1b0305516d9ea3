"""Runs a worker in a thread of the test's process."""

import time
from contextlib import contextmanager
from threading import Thread

from sqlalchemy.orm import Session

from aldis.durable import Retry, Worker
from aldis.durable.types import State
from tests.durable.support import order_paid, rows

#: Fails three times in no time.
SOON = Retry(attempts=3, first_delay=0.01)

#: Seconds after which what should have happened has not.
LIMIT = 20


@contextmanager
def working(outbox, **options):
    """Run a worker while the block runs, and raise its error."""
    worker = Worker(outbox, **{"grace": 5, **options})
    errors = []

    def run():
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - it is the test's
            errors.append(error)

    thread = Thread(target=run, name="test-worker")
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(LIMIT)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def until(condition):
    """Wait until ``condition`` returns a true value, and return the value."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    message = "it has not come true"
    raise AssertionError(message)


def send(outbox, *order_ids, sender="harbour"):
    """Send in one transaction."""
    with Session(outbox.engine) as session, outbox.using(session), session.begin():
        for order_id in order_ids:
            order_paid.send(sender, order_id=order_id)


def is_settled(outbox):
    """Tell whether no delivery is waiting or running."""
    return not rows(outbox, State.PENDING, State.RUNNING, State.BLOCKED, State.QUARANTINED)


def run_all(outbox, **options):
    """Run a worker until no delivery is waiting or running, and return it."""
    with working(outbox, **options) as worker:
        until(lambda: is_settled(outbox))
    return worker
