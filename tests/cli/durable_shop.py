"""A shop whose receipts are durable, for the tests of commands on deliveries."""

import os
import signal
import time
from contextlib import contextmanager

from sqlalchemy import create_engine, text

from aldis.durable.store.sql.connection import use_wal
from aldis.durable.store.sql.migrate import upgrade
from tests.cli.support import ALDIS, PYTHON

#: The states of deliveries in the database.
PENDING, DONE, DEAD = 0, 2, 3

#: The receivers of every app of these tests. The order's number decides what the receiver does.
RECEIVERS = """
    import time
    from pathlib import Path
    from aldis import Namespace
    from aldis.durable import Retry, current_delivery, durable

    signals = Namespace()

    @signals.define
    def order_paid(sender: str, /, *, order_id: int) -> None: ...

    @order_paid.connect
    @durable("billing.receipt", retry=Retry(attempts=1))
    def receipt(sender, *, order_id: int, **extra):
        if order_id == 13:
            raise LookupError("no such lamp")
        Path(f"begun-{order_id}").touch()
        while order_id >= 100 and not Path(f"go-{order_id}").exists():
            time.sleep(0.01)
        Path(f"done-{order_id}").touch()
    """

#: A Flask app. An environment variable names the database of its outbox.
APP = """
    import os
    import aldis.as_blinker
    from aldis.durable import Outbox
    from aldis.flask import Aldis
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from receivers import order_paid

    app = Flask("shop", instance_path=os.getcwd())
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("SHOP_URL", "sqlite:///shop.db")
    db = SQLAlchemy(app)
    Aldis(app, outbox=Outbox(db.session))
    """

#: An app without a framework.
PLAIN = """
    from aldis.durable import Outbox
    from sqlalchemy import create_engine
    from receivers import order_paid

    engine = create_engine("sqlite:///shop.db")
    outbox = Outbox(engine=engine)
    """

SEND = """
    import sys
    from shop import app, db, order_paid

    with app.app_context():
        for number in sys.argv[1:]:
            order_paid.send("harbour", order_id=int(number))
        db.session.commit()
    """


def write_shop(project, *, wal=True):
    """Write the shop into a folder, and create its tables in a file of SQLite."""
    project.write("receivers.py", RECEIVERS)
    project.write("shop.py", APP)
    project.write("plain.py", PLAIN)
    project.write("send.py", SEND)
    engine = create_engine(f"sqlite:///{project.folder}/shop.db")
    if wal:
        use_wal(engine)
    upgrade(engine)
    engine.dispose()


def send(project, *numbers, **environ):
    """Send the signal for these orders in a process."""
    ended = project.run(*PYTHON, "send.py", *map(str, numbers), **environ)
    assert (0, "") == (ended.returncode, ended.stderr)


def states(project):
    """Return the state and the attempts of each delivery, by id."""
    engine = create_engine(f"sqlite:///{project.folder}/shop.db")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT state, attempts FROM aldis_deliveries ORDER BY id"))
        rows = [tuple(row) for row in found]
    engine.dispose()
    return rows


def wait_for(condition, seconds=20):
    """Wait until a condition is true, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition is still false after {seconds} seconds"
        time.sleep(0.02)


class Worker:
    """A running worker."""

    def __init__(self, process):
        self.process = process
        self.lines = []

    def read_until(self, words):
        """Read the output up to a line with these words, and return the line."""
        while True:
            line = self.process.stdout.readline()
            assert line, f"the worker has ended without printing {words!r}: {''.join(self.lines)}"
            self.lines.append(line)
            if words in line:
                return line

    def send_signal(self, number):
        """Send a signal to the worker."""
        os.kill(self.process.pid, number)

    def end(self, number=signal.SIGTERM):
        """Stop the worker, and return its exit code and its whole output."""
        if number is not None:
            self.send_signal(number)
        rest, _ = self.process.communicate(timeout=20)
        return self.process.returncode, "".join(self.lines) + rest


@contextmanager
def working(project, *options, **environ):
    """Start a worker, and kill it at the end if it still runs."""
    options = options or ("--app", "shop")
    process = project.start(*ALDIS, "worker", *options, **environ)
    try:
        yield Worker(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()
