"""A rolling deploy: workers and senders of two releases share one database.

The new release renames an argument of the signal and the durable receiver.
"""

import subprocess
import sys
import textwrap

import pytest

from aldis.durable.types import State
from tests.durable import support
from tests.durable.sql import databases
from tests.durable.support import rows, written
from tests.durable.working import LIMIT, until

pytestmark = pytest.mark.slow

SHOP = """
    import signal
    import sys
    import aldis
    from aldis.durable import Outbox, Retry, Worker, current_delivery, durable
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session
    from tests.durable.support import write

    engine = create_engine(sys.argv[1])
    outbox = Outbox(engine=engine)
    shop = aldis.Namespace()
    retry = Retry(attempts=1000, first_delay=0.05, max_delay=0.2)
    """

OLD = """
    @shop.define
    def order_paid(sender: str, /, *, order_id: int) -> None: ...

    @order_paid.connect
    @durable("billing.mail", retry=retry)
    def mail(sender, *, order_id):
        write(current_delivery().session, f"old {order_id}")

    def send(number):
        order_paid.send("harbour", order_id=number)
    """

NEW = """
    @shop.define
    def order_paid(sender: str, /, *, order: int) -> None: ...

    @order_paid.connect
    @durable(
        "billing.receipt",
        aliases=["billing.mail"],
        upgrade=lambda old: {"order": old["order_id"]},
        retry=retry,
    )
    def receipt(sender, *, order):
        write(current_delivery().session, f"new {order}")

    def send(number):
        order_paid.send("harbour", order=number)
    """

#: The new release without the new name of the receiver.
SAME_NAME = NEW.replace('"billing.receipt",', '"billing.mail",').replace(
    'aliases=["billing.mail"],', ""
)

RUN = """
    if sys.argv[2:]:
        with Session(engine) as session, outbox.using(session), session.begin():
            for number in map(int, sys.argv[2:]):
                send(number)
    else:
        worker = Worker(outbox, concurrency=2)
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run()
    """


class Release:
    """A release of the shop, whose programs run in processes."""

    def __init__(self, code, engine, processes):
        self.program = "\n".join(map(textwrap.dedent, (SHOP, code, RUN)))
        self.url = engine.url.render_as_string(hide_password=False)
        self.processes = processes

    def start(self, *numbers):
        """Start a worker, or send the numbers."""
        command = [sys.executable, "-c", self.program, self.url, *map(str, numbers)]
        self.processes.append(subprocess.Popen(command))
        return self.processes[-1]

    def send(self, *numbers):
        """Send the numbers in one transaction."""
        assert 0 == self.start(*numbers).wait(LIMIT * 3)


@pytest.fixture
def processes():
    """Give a list of processes that are killed at the end."""
    started = []
    yield started
    for process in started:
        process.kill()
        process.wait(LIMIT)


@pytest.fixture(params=["sqlite_wal", *databases.SERVER_KINDS])
def outbox(request, tmp_path):
    """Give an outbox on each database."""
    with databases.engine_on(request.param, tmp_path) as engine:
        support.create_tables(engine)
        yield support.outbox_on(engine)


def stop(process):
    """Stop a worker as a deploy does."""
    process.terminate()
    process.wait(LIMIT * 3)


def numbers(notes, release=""):
    """Return the numbers of the notes of a release."""
    return sorted(int(note.split()[1]) for note in notes if note.startswith(release))


@pytest.mark.parametrize("code", [NEW, SAME_NAME], ids=["renamed receiver", "same name"])
def test_two_releases_at_once(outbox, processes, code):
    """Each delivery is done once, by a worker that can, and no receiver is paused."""
    old, new = (Release(each, outbox.engine, processes) for each in (OLD, code))
    old.send(*range(10))
    leaving = old.start()
    until(lambda: len(rows(outbox, State.DONE)) == 10)
    staying = new.start()
    until(lambda: "billing.mail" in outbox.store.registered_receivers())
    old.send(*range(10, 20))
    new.send(*range(20, 40))
    until(lambda: len(rows(outbox, State.DONE)) >= 30)
    assert [] == outbox.store.breakers()
    stop(leaving)
    until(lambda: len(rows(outbox, State.DONE)) == 40)
    stop(staying)
    notes = written(outbox.engine)
    assert list(range(40)) == numbers(notes)
    assert list(range(20, 40)) == [each for each in numbers(notes, "new") if each >= 20]


def test_new_deliveries_wait_for_a_new_worker(outbox, processes):
    """While only an old worker runs, deliveries of the new release keep their attempts."""
    old, new = (Release(each, outbox.engine, processes) for each in (OLD, SAME_NAME))
    leaving = old.start()
    new.send(*range(20))
    until(lambda: all(row.reason for row in rows(outbox)))
    assert "give durable an upgrade= function" in rows(outbox)[0].reason
    assert [] == outbox.store.breakers()
    stop(leaving)
    assert {State.PENDING} == {row.state for row in rows(outbox)}
    staying = new.start()
    until(lambda: len(rows(outbox, State.DONE)) == 20)
    stop(staying)
    assert list(range(20)) == numbers(written(outbox.engine), "new")
