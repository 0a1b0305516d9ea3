"""``durable(limit=…)``: how many deliveries of a receiver run at a time, in all workers."""

import subprocess
import sys
import textwrap
import threading
import time

import pytest
from sqlalchemy import create_engine, text

from aldis.durable import Worker, durable
from aldis.durable.types import RunLimit, State
from tests.durable import support
from tests.durable.sql import databases
from tests.durable.support import order_paid, rows
from tests.durable.working import LIMIT, is_settled, run_all, send, until, working

pytestmark = pytest.mark.usefixtures("aldis_clean")

#: A worker in a process: each delivery notes its start and its end in the table of notes.
WORKER = """
    import sys, time
    from sqlalchemy import create_engine
    from aldis.durable import Outbox, Worker, durable
    from tests.durable.support import order_paid, write
    from sqlalchemy.orm import Session

    engine = create_engine(sys.argv[1])
    outbox = Outbox(engine=engine)

    def note(text):
        with Session(engine) as session, session.begin():
            write(session, text)

    @order_paid.connect
    @durable("test.slow", limit=2)
    def slow(sender, *, order_id):
        note(f"+{order_id}")
        time.sleep(float(sys.argv[2]))
        note(f"-{order_id}")

    Worker(outbox, concurrency=4, lease=float(sys.argv[3])).run()
    """


@pytest.fixture
def processes():
    """Give a list of processes that are killed at the end."""
    started = []
    yield started
    for process in started:
        process.kill()
        process.wait(LIMIT)


def start(processes, engine, seconds, lease=30):
    """Start a worker in a process."""
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url, str(seconds), str(lease)]
    processes.append(subprocess.Popen(command))
    return processes[-1]


def most_at_a_time(engine):
    """Return how many deliveries ran at a time, at most, according to their notes."""
    running = most = 0
    for note in support.written(engine):
        running += 1 if note.startswith("+") else -1
        most = max(most, running)
    return most


def connect(limit, seconds=0.01, name="test.slow", **options):
    """Connect a receiver with a limit; return the list of its numbers of running calls."""
    running, seen, lock = [0], [], threading.Lock()

    @order_paid.connect
    @durable(name, limit=limit, **options)
    def slow(sender, *, order_id):
        with lock:
            running[0] += 1
            seen.append(running[0])
        time.sleep(seconds)
        with lock:
            running[0] -= 1

    return seen


class TestLimit:
    @pytest.mark.parametrize("kind", databases.DATABASES)
    def test_of_one_worker(self, kind, tmp_path):
        """At most as many deliveries run at a time, and all are delivered."""
        with databases.engine_on(kind, tmp_path) as engine:
            support.create_tables(engine)
            outbox = support.outbox_on(engine)
            seen = connect(2)
            send(outbox, *range(30))
            run_all(outbox, concurrency=8)
            assert 30 == len(seen)
            assert max(seen) == 2

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["sqlite_wal", *databases.SERVER_KINDS])
    def test_of_two_processes(self, kind, tmp_path, processes):
        """Two worker processes together keep the limit."""
        with databases.engine_on(kind, tmp_path) as engine:
            support.create_tables(engine)
            outbox = support.outbox_on(engine)
            order_paid.connect(durable("test.slow", limit=2)(lambda sender, **_: None), weak=False)
            send(outbox, *range(8))
            for _ in range(2):
                start(processes, engine, 0.05)
            until(lambda: len(rows(outbox, State.DONE)) == 8)
            assert 2 == most_at_a_time(engine)

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", databases.DATABASES)
    def test_after_a_crash(self, kind, tmp_path, processes):
        """The places of a killed worker are free once its lease has run out."""
        with databases.engine_on(kind, tmp_path) as engine:
            support.create_tables(engine)
            outbox = support.outbox_on(engine)
            seen = connect(2)
            send(outbox, *range(6))
            lost = start(processes, engine, 600, lease=600)
            until(lambda: len(rows(outbox, State.RUNNING)) == 2)
            lost.kill()
            lost.wait(LIMIT)
            with working(outbox):
                time.sleep(0.3)
                assert [] == seen  # the lease is valid
                with engine.begin() as connection:
                    connection.execute(
                        text("UPDATE aldis_workers SET expires_at = 1 WHERE name <> 'x'")
                    )
                until(lambda: is_settled(outbox))
            assert 6 == len(rows(outbox, State.DONE))
            assert max(seen) <= 2

    def test_of_other_receivers(self, outbox):
        """The limit of one receiver leaves others alone."""
        limited, free = connect(1), connect(None, name="test.free")
        send(outbox, *range(20))
        run_all(outbox, concurrency=4)
        assert 1 == max(limited)
        assert max(free) > 1

    def test_with_a_key_and_an_alias(self, outbox):
        """A limit counts the deliveries of the aliases, too, and keeps the order of keys."""
        connect(None, name="test.old")
        send(outbox, *range(4))
        with outbox.engine.begin() as connection:
            connection.execute(text("UPDATE aldis_deliveries SET receiver = 'test.older'"))
        seen = connect(
            2, name="test.new", aliases=["test.older"], key=lambda sender, order_id: order_id % 3
        )
        send(outbox, *range(10))
        run_all(outbox, concurrency=8)
        assert 14 == len([row for row in rows(outbox, State.DONE) if row.receiver != "test.old"])
        assert max(seen) <= 2

    def test_of_async_receivers(self, outbox):
        """An async receiver has a limit, too."""
        import asyncio

        running, seen = [], []

        @order_paid.connect
        @durable("test.slow", limit=2)
        async def slow(sender, *, order_id):
            running.append(order_id)
            seen.append(len(running))
            await asyncio.sleep(0.01)
            running.remove(order_id)

        send(outbox, *range(20))
        run_all(outbox, concurrency=8)
        assert (20, 2) == (len(seen), max(seen))

    def test_drain_ends(self, outbox):
        """``Worker.drain`` ends although other workers hold all places."""
        connect(1)
        send(outbox, 1, 2)
        store = outbox.store
        store.register_worker("a" * 32, "other", 600)
        limit = RunLimit(("test.slow",), 1)
        claim = store.claim("a" * 32, "test.slow", 9, ordered=False, at_most=limit)
        assert 1 == len(claim)
        assert 0 == Worker(outbox).drain()

    @pytest.mark.parametrize("limit", [0, -1, 1.5, True, "2"])
    def test_refuses(self, limit):
        """A limit is a whole number from 1 on."""
        with pytest.raises(ValueError, match="limit= must be a whole number from 1 on"):
            durable("test.slow", limit=limit)


class TestPrune:
    @pytest.mark.parametrize("kind", databases.DATABASES)
    def test_deletes_what_ended_long_ago(self, kind, tmp_path, receipt):
        """A worker deletes old completed deliveries while it delivers, and no dead letters."""
        with databases.engine_on(kind, tmp_path) as engine:
            support.create_tables(engine)
            outbox = support.outbox_on(engine)
            send(outbox, *range(1203))
            with engine.begin() as connection:
                for state, ids in {2: "id > 3", 3: "id = 3", 5: "id = 2"}.items():
                    connection.execute(
                        text(
                            f"UPDATE aldis_deliveries SET state = {state}, finished_at = 1"  # noqa: S608 - constants
                            f" WHERE {ids}"
                        )
                    )
            with working(outbox, prune_after=3600):
                until(lambda: {1, 3} == {row.id for row in rows(outbox)})
                until(lambda: rows(outbox, State.DONE))  # a short time ago
            assert [State.DONE, State.DEAD] == [row.state for row in rows(outbox)]

    def test_refuses(self, outbox):
        """The age is above zero."""
        with pytest.raises(ValueError, match="prune_after must be a number of seconds above 0"):
            Worker(outbox, prune_after=0)


@pytest.mark.parametrize("kind", databases.DATABASES)
def test_a_worker_registers_its_receivers(kind, tmp_path, receipt):
    """The database knows which receivers a worker has served, and when."""
    with databases.engine_on(kind, tmp_path) as engine:
        support.create_tables(engine)
        outbox = support.outbox_on(engine)
        with working(outbox), working(support.outbox_on(create_engine(engine.url))):
            until(lambda: receipt.name in outbox.store.registered_receivers())
        assert outbox.store.registered_receivers()[receipt.name] < 600
