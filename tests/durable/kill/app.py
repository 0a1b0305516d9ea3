"""The app whose processes are killed: orders, signals and receivers.

Each row of ``Order`` is committed in the transaction of its send. At the end, the rows show which
deliveries there must be.
"""

# This comes first, so that Flask runs on aldis.
import aldis.as_blinker  # noqa: F401

# isort: split

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from threading import Thread
from uuid import uuid4

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from aldis import Namespace
from aldis.durable import Outbox, Retry, RetryLater, Worker, current_delivery, durable, tables
from aldis.durable.types import UNFINISHED
from aldis.errors import OutboxError
from aldis.flask import Aldis

db = SQLAlchemy()
deliveries = tables(db.metadata).deliveries
outbox = Outbox(db.session)
signals = Namespace()

#: A database fault may fail any attempt, so no delivery may run out of attempts.
RETRY = Retry(attempts=1000, first_delay=0.1, max_delay=0.5)

#: The number of waiting deliveries at which senders pause, so that a run ends soon.
FULL = 1500


class Order(db.Model):
    """The row that the web process commits together with a send."""

    token = db.Column(db.String(32), primary_key=True)


class Effect(db.Model):
    """The row that a receiver writes through its session. No constraint forbids a second one."""

    id = db.Column(db.Integer, primary_key=True)
    receiver = db.Column(db.String(20), nullable=False)
    token = db.Column(db.String(32), nullable=False)
    order_key = db.Column(db.String(60), nullable=False)
    number = db.Column(db.Integer, nullable=False)


@signals.define
def order_placed(sender: str, /, *, token: str, order_key: str, number: int):
    """Sent once a shop has taken an order."""


@signals.define
def order_settled(sender: str, /, *, token: str):
    """Sent once the ledger has an order."""


@signals.define
def order_probed(sender: str, /, *, token: str, what: str):
    """Sent to make a receiver do something."""


def create_app(url, folder):
    """Return the app on the database at ``url``. Its processes write files into ``folder``."""
    app = Flask(__name__)
    options = {"pool_size": 10}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": 30}
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=options, FOLDER=Path(folder)
    )
    db.init_app(app)
    Aldis(app, outbox=outbox)
    return app


def note(name, *words):
    """Append a line to a file, as an effect outside the database."""
    from flask import current_app

    line = " ".join(map(str, words)) + "\n"
    file = os.open(
        current_app.config["FOLDER"] / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644
    )
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def write_effect(receiver, token, order_key="", number=0):
    """Write through the delivery's session."""
    current_delivery().session.add(
        Effect(receiver=receiver, token=token, order_key=order_key, number=number)
    )


# -- the receivers of stress runs ------------------------------------------------------------------


@order_placed.connect
@durable("kill.ledger", retry=RETRY)
def ledger(sender, *, token, **extra):
    """Write through the delivery's session, and send in its transaction."""
    write_effect("ledger", token)
    order_settled.send("ledger", token=token)


@order_settled.connect
@durable("kill.settled", retry=RETRY)
def settled(sender, *, token, **extra):
    """Write after another receiver has written."""
    write_effect("settled", token)


@order_placed.connect
@durable("kill.awaited", retry=RETRY)
async def awaited(sender, *, token, **extra):
    """Write from an event loop, concurrently with other receivers."""
    write_effect("awaited", token)
    await asyncio.sleep(random.uniform(0, 0.01))


@order_placed.connect
@durable("kill.plain", retry=RETRY)
def plain(sender, *, token, **extra):
    """Cause an effect that no rollback can undo."""
    note("plain", token, current_delivery().attempt)


@order_placed.connect
@durable("kill.flaky", retry=RETRY)
def flaky(sender, *, token, **extra):
    """Write, and then fail at random."""
    write_effect("flaky", token)
    current_delivery().session.flush()
    chance = random.random()
    if chance < 0.1:
        raise RetryLater(seconds=0.05)
    if chance < 0.25:
        raise ValueError(token)


@order_placed.connect
@durable("kill.keyed", retry=RETRY, key=lambda sender, order_key, **extra: order_key)
def keyed(sender, *, token, order_key, number, **extra):
    """Write in the order of a key, and fail at random."""
    write_effect("keyed", token, order_key, number)
    if random.random() < 0.03:
        raise ValueError(token)


# -- the receiver of scenarios ---------------------------------------------------------------------


@order_probed.connect
@durable("kill.probe", retry=RETRY)
def probe(sender, *, token, what, **extra):
    """Do the action of a scenario."""
    from flask import current_app

    note("started", token, os.getpid())
    kind, _, argument = what.partition(" ")
    if kind == "exit":
        os._exit(3)
    if kind == "sleep":
        time.sleep(float(argument))
    if kind in {"session", "session-flushed"}:
        write_effect("probe", token)
    if kind == "session-flushed":
        current_delivery().session.flush()
    if kind != "nothing" and argument == "gate":
        gate = current_app.config["FOLDER"] / "gate"
        end = time.monotonic() + 60
        while not gate.exists() and time.monotonic() < end:
            time.sleep(0.01)
    note("ended", token, os.getpid())


# -- the functions of the processes ----------------------------------------------------------------


def work(url, folder, name, lease=1.0, concurrency=2, grace=20.0):
    """Run a worker until SIGTERM. The processes of a fork server start with SIGTERM blocked."""
    app = create_app(url, folder)
    worker = Worker(
        outbox,
        app=app,
        context=app.app_context,
        concurrency=concurrency,
        lease=lease,
        grace=grace,
        name=name,
    )
    me = os.getpid()
    ended = []

    def run():
        try:
            worker.run()
            ended.append(True)
        finally:
            os.kill(me, signal.SIGTERM)

    thread = Thread(target=run)
    thread.start()
    signal.sigwait({signal.SIGTERM})
    worker.stop()
    thread.join()
    return 0 if ended else 1


class Shop:
    """Runs one transaction after the other, each of a random kind."""

    KINDS = (
        ("commit", 50),
        ("roll_back", 12),
        ("roll_back_savepoint", 10),
        ("release_savepoint", 10),
        ("roll_back_around_savepoint", 5),
        ("commit_many", 5),
        ("leave_open", 8),
    )

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._numbers = {}
        self.new_keys()

    def new_keys(self):
        """Start new keys. It is unknown which transactions with the old keys were committed."""
        self._life = uuid4().hex[:12]

    def place(self):
        """Place one order in the current transaction."""
        token = uuid4().hex
        key = f"{self._life}:{self._random.randrange(3)}"
        self._numbers[key] = number = self._numbers.get(key, 0) + 1
        db.session.add(Order(token=token))
        order_placed.send("shop", token=token, order_key=key, number=number)

    def request(self):
        """Serve one request."""
        kinds, weights = zip(*self.KINDS, strict=True)
        (kind,) = self._random.choices(kinds, weights)
        getattr(self, kind)()

    def commit(self):
        """Place an order."""
        self.place()
        db.session.commit()

    def roll_back(self):
        """Roll back an order, before or after the flush."""
        self.place()
        if self._random.random() < 0.5:
            db.session.flush()
        db.session.rollback()
        note("rolled_back", 1)

    def roll_back_savepoint(self):
        """Place two orders, and roll back a third one."""
        self.place()
        savepoint = db.session.begin_nested()
        self.place()
        savepoint.rollback()
        self.place()
        db.session.commit()
        note("rolled_back", 1)

    def release_savepoint(self):
        """Place an order inside a savepoint, and one outside."""
        with db.session.begin_nested():
            self.place()
        self.place()
        db.session.commit()

    def roll_back_around_savepoint(self):
        """Roll back the transaction after the release of its savepoint."""
        with db.session.begin_nested():
            self.place()
        self.place()
        db.session.rollback()
        note("rolled_back", 2)

    def commit_many(self):
        """Place many orders at once."""
        for _ in range(20):
            self.place()
        db.session.commit()

    def leave_open(self):
        """Keep the transaction open for a while, so that a kill can hit it."""
        self.place()
        with db.session.begin_nested():  # its release also writes the outer order
            self.place()
        time.sleep(self._random.uniform(0.05, 0.3))
        db.session.rollback()
        note("rolled_back", 2)

    def is_full(self):
        """Tell whether enough deliveries are waiting."""
        waiting = select(func.count()).where(deliveries.c.state.in_(UNFINISHED))
        return db.session.scalar(waiting) > FULL


def serve(url, folder, seed, pace=0.02):
    """Serve requests until the process is killed."""
    app = create_app(url, folder)
    shop = Shop(seed)
    turn = 0
    while True:
        turn += 1
        with app.app_context():
            try:
                while turn % 20 == 0 and shop.is_full():
                    db.session.remove()
                    time.sleep(0.2)
                db.session.remove()
                shop.request()
            except (SQLAlchemyError, OutboxError):
                # It is unknown whether this was committed.
                db.session.rollback()
                shop.new_keys()
                note("errors", 1)
        time.sleep(pace)


def send_probes(url, folder, probes):
    """Send the probes of a scenario in one transaction."""
    app = create_app(url, folder)
    with app.app_context():
        for token, what in probes:
            db.session.add(Order(token=token))
            order_probed.send("shop", token=token, what=what)
        db.session.commit()
    return 0


#: The functions that a fork server can run, by name.
ROLES = {"work": work, "serve": serve, "send_probes": send_probes}
