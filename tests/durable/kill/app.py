"""The app whose processes are killed: orders, what is sent with them, and who receives it.

A row of ``Order`` is committed in the same transaction as its send. So the rows that are there in
the end say what must have been delivered.
"""

# First of all: Flask runs on aldis.
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

#: In time, every attempt but the last may meet a failure of the database; none may give up for it.
RETRY = Retry(attempts=1000, first_delay=0.1, max_delay=0.5)

#: How much may wait before senders pause, so that a storm ends soon after the last kill.
FULL = 1500


class Order(db.Model):
    """What the web process commits together with a send."""

    token = db.Column(db.String(32), primary_key=True)


class Effect(db.Model):
    """What a receiver writes through its delivery's session; nothing forbids to write it twice."""

    id = db.Column(db.Integer, primary_key=True)
    receiver = db.Column(db.String(20), nullable=False)
    token = db.Column(db.String(32), nullable=False)
    order_key = db.Column(db.String(60), nullable=False)
    number = db.Column(db.Integer, nullable=False)


@signals.define
def order_placed(sender: str, /, *, token: str, order_key: str, number: int):
    """Tell that a shop has taken an order: the one after which the storm looks."""


@signals.define
def order_settled(sender: str, /, *, token: str):
    """Tell that the ledger has an order."""


@signals.define
def order_probed(sender: str, /, *, token: str, what: str):
    """Have something certain happen in a receiver."""


def create_app(url, folder):
    """Return the app on the database at ``url``, whose processes write files into ``folder``."""
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
    """Append a line to a file: an effect outside of the database."""
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


# -- the receivers of the storm --------------------------------------------------------------------


@order_placed.connect
@durable("kill.ledger", retry=RETRY)
def ledger(sender, *, token, **extra):
    """Write through the delivery's session, and send in the same transaction."""
    write_effect("ledger", token)
    order_settled.send("ledger", token=token)


@order_settled.connect
@durable("kill.settled", retry=RETRY)
def settled(sender, *, token, **extra):
    """Write what follows from what another receiver has written."""
    write_effect("settled", token)


@order_placed.connect
@durable("kill.awaited", retry=RETRY)
async def awaited(sender, *, token, **extra):
    """Write from an event loop, beside others."""
    write_effect("awaited", token)
    await asyncio.sleep(random.uniform(0, 0.01))


@order_placed.connect
@durable("kill.plain", retry=RETRY)
def plain(sender, *, token, **extra):
    """Do something that no transaction takes back."""
    note("plain", token, current_delivery().attempt)


@order_placed.connect
@durable("kill.flaky", retry=RETRY)
def flaky(sender, *, token, **extra):
    """Write, and fail every now and then after that."""
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
    """Write in the order of a key, and fail every now and then."""
    write_effect("keyed", token, order_key, number)
    if random.random() < 0.03:
        raise ValueError(token)


# -- the receivers of single scenes ----------------------------------------------------------------


@order_probed.connect
@durable("kill.probe", retry=RETRY)
def probe(sender, *, token, what, **extra):
    """Do what a scene needs."""
    from flask import current_app

    note("begun", token, os.getpid())
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


# -- what the processes do -------------------------------------------------------------------------


def work(url, folder, name, lease=1.0, concurrency=2, grace=20.0):
    """Be a worker until SIGTERM, which a nursery's processes have blocked from their beginning."""
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
    """What a web process does: one transaction after the other, each of its own kind."""

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
        """Begin new keys: nobody knows which transactions of the old ones will be committed."""
        self._life = uuid4().hex[:12]

    def place(self):
        """Place one order in the present transaction."""
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
        """Think better of it, after it was written or before."""
        self.place()
        if self._random.random() < 0.5:
            db.session.flush()
        db.session.rollback()
        note("rolled_back", 1)

    def roll_back_savepoint(self):
        """Place two orders, and another that is taken back."""
        self.place()
        savepoint = db.session.begin_nested()
        self.place()
        savepoint.rollback()
        self.place()
        db.session.commit()
        note("rolled_back", 1)

    def release_savepoint(self):
        """Place an order inside a savepoint, and one around it."""
        with db.session.begin_nested():
            self.place()
        self.place()
        db.session.commit()

    def roll_back_around_savepoint(self):
        """Take back all, though the savepoint inside was released."""
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
        """Have the transaction open for a while, to be killed in it."""
        self.place()
        with db.session.begin_nested():  # whose release writes what is around it as well
            self.place()
        time.sleep(self._random.uniform(0.05, 0.3))
        db.session.rollback()
        note("rolled_back", 2)

    def is_full(self):
        """Tell whether the workers have enough to do."""
        waiting = select(func.count()).where(deliveries.c.state.in_(UNFINISHED))
        return db.session.scalar(waiting) > FULL


def serve(url, folder, seed, pace=0.02):
    """Be a web process until it is killed."""
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
                # Whether that was committed, the database knows.
                db.session.rollback()
                shop.new_keys()
                note("errors", 1)
        time.sleep(pace)


def send_probes(url, folder, probes):
    """Send what a scene needs, in one transaction; return the tokens."""
    app = create_app(url, folder)
    with app.app_context():
        for token, what in probes:
            db.session.add(Order(token=token))
            order_probed.send("shop", token=token, what=what)
        db.session.commit()
    return 0


#: By the name under which a nursery is asked for it.
ROLES = {"work": work, "serve": serve, "send_probes": send_probes}
