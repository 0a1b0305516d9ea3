"""``aldis worker``, as a process manager starts and stops it."""

import re
import shlex
import signal
import sqlite3
import time
from contextlib import closing

import pytest
from sqlalchemy import create_engine

from aldis.durable.sql.schema import upgrade
from tests.cli.durable_shop import RECEIVERS, send, states, wait_for, working, write_shop
from tests.cli.support import ALDIS
from tests.durable.sql.databases import database

PENDING, DONE, DEAD = 0, 2, 3

ADVICE = (
    "this SQLite file has no write-ahead log, without which workers and the app wait for each "
    "other: aldis db upgrade --wal\n"
)


@pytest.fixture
def shop(project):
    """Give a folder with the shop and its tables."""
    write_shop(project)
    return project


class TestServing:
    def test_what_it_says(self, shop):
        """It tells whom it serves and where, each failure, and in the end how much it did."""
        send(shop, 1, 13)
        with working(shop, "--app", "shop", "--name", "quay-1", "--concurrency", "2") as worker:
            worker.read_until("is a dead letter")
            wait_for((shop.folder / "done-1").exists)
            code, output = worker.end()
        lines = output.splitlines()
        assert 0 == code
        assert f"worker quay-1: aldis_* in sqlite:///{shop.folder}/shop.db, 2 at a time" == lines[0]
        assert "  billing.receipt of order_paid" == lines[1]
        assert re.search(
            r" ERROR delivery 2 of order_paid \(billing\.receipt\) is a dead letter after attempt "
            r"1: LookupError: no such lamp$",
            lines[2],
        )
        assert [
            "SIGTERM: finishing what runs; once more ends the worker at once",
            "worker quay-1: 1 done, 1 failed",
        ] == lines[3:]
        assert [(DONE, 1), (DEAD, 1)] == states(shop)

    def test_what_looks_wrong(self, shop):
        """Rows without a receiver, receivers that nobody connected, a file without a log."""
        write_shop(shop, wal=False)
        with closing(sqlite3.connect(shop.folder / "shop.db")) as connection:
            connection.execute("PRAGMA journal_mode=delete")
            connection.execute(
                "INSERT INTO aldis_deliveries (emission_id, receiver, signal, payload)"
                " VALUES ('e', 'billing.recipt', 'order_paid', '{}')"
            )
            connection.commit()
        shop.write(
            "more.py", "from shop import *\nfrom receivers import *\ndurable('idle')(print)\n"
        )
        with working(shop, "--app", "more") as worker:
            worker.read_until("1 deliveries wait for durable receiver 'billing.recipt'")
            code, output = worker.end()
        assert 0 == code
        assert ADVICE in output
        assert "WARNING durable receiver 'idle' (print) is not connected to any signal" in output

    def test_one_receiver_only(self, shop):
        """What is recorded for others waits."""
        shop.write(
            "more.py",
            """
            from shop import *
            from receivers import *

            @order_paid.connect
            @durable("shipping.label")
            def label(sender, *, order_id: int, **extra): Path("labelled").touch()
            """,
        )
        source = (shop.folder / "send.py").read_text().replace("from shop", "from more")
        (shop.folder / "send.py").write_text(source)
        send(shop, 1)
        with working(shop, "--app", "more", "--receiver", "shipping.label") as worker:
            wait_for((shop.folder / "labelled").exists)
            _, output = worker.end()
        assert "1 done, 0 failed" in output
        assert "billing.receipt" not in output
        assert [(PENDING, 0), (DONE, 1)] == states(shop)

    def test_without_a_framework(self, shop):
        """An outbox by its name; with --app, too, the app is imported as well."""
        send(shop, 1)
        with working(shop, "--outbox", "plain:outbox") as worker:
            wait_for((shop.folder / "done-1").exists)
            assert 0 == worker.end()[0]
        send(shop, 2)
        with working(shop, "--outbox", "plain:outbox", "--app", "shop") as worker:
            wait_for((shop.folder / "done-2").exists)
            assert 0 == worker.end()[0]

    def test_quart(self, shop):
        """Async and sync receivers run inside of the app's context."""
        shop.write(
            "pier.py",
            """
            import aldis.as_blinker
            from aldis.durable import Outbox
            from aldis.quart import Aldis
            from quart import Quart, current_app
            from receivers import *
            from sqlalchemy import create_engine

            app = Quart("pier")
            Aldis(app, outbox=Outbox(engine=create_engine("sqlite:///shop.db")))

            @order_paid.connect
            @durable("sync")
            def sync(sender, **extra): Path(f"sync-{current_app.name}").touch()

            @order_paid.connect
            @durable("async")
            async def awaited(sender, **extra): Path(f"async-{current_app.name}").touch()
            """,
        )
        shop.write(
            "send.py",
            """
            from pier import app, order_paid
            from sqlalchemy.orm import Session

            outbox = app.extensions["aldis"].outbox
            with Session(outbox.engine) as session, outbox.using(session), session.begin():
                order_paid.send("harbour", order_id=1)
            """,
        )
        send(shop)
        with working(shop, "--app", "pier") as worker:
            wait_for(lambda: [(DONE, 1)] * 3 == states(shop))
            code, output = worker.end()
        assert (0, True) == (code, "  async of order_paid, async\n" in output)
        assert {"sync-pier", "async-pier"} <= {each.name for each in shop.folder.iterdir()}

    def test_an_app_that_logs(self, shop):
        """Where its log goes, the worker's does, and only there."""
        shop.write(
            "loud.py",
            "import logging; logging.basicConfig(filename='log', level='INFO')\nfrom shop import *",
        )
        send(shop, 13)
        with working(shop, "--app", "loud") as worker:
            wait_for(lambda: states(shop) == [(DEAD, 1)])
            _, output = worker.end()
        assert "is a dead letter" not in output
        assert "is a dead letter" in (shop.folder / "log").read_text()

    @pytest.mark.service
    def test_postgresql(self, shop, tmp_path):
        """A commit elsewhere wakes it; the password is not shown; two share the work."""
        with database("postgresql", tmp_path) as url:
            engine = create_engine(url)
            upgrade(engine)
            engine.dispose()
            where = {"SHOP_URL": url.replace("postgres@", "postgres:secret@")}
            with (
                working(shop, "--app", "shop", **where) as one,
                working(shop, "--app", "shop", **where) as other,
            ):
                said = one.read_until("at a time")
                other.read_until("at a time")
                assert ("secret" in said, ":***@" in said) == (False, True)
                send(shop, *range(1, 9), **where)
                wait_for(lambda: 8 == len([*shop.folder.glob("done-*")]))
                ended = one.end(), other.end()
        done = [int(re.search(r"(\d+) done, 0 failed", said)[1]) for _, said in ended]
        assert ([0, 0], 8) == ([code for code, _ in ended], sum(done))


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_what_runs_may_finish(self, shop, number):
        """And nothing else is begun."""
        send(shop, 100, 101)
        with working(shop, "--app", "shop", "--concurrency", "1") as worker:
            wait_for((shop.folder / "begun-100").exists)
            worker.tell(number)
            worker.read_until(f"{number.name}: finishing what runs")
            (shop.folder / "go-100").touch()
            code, output = worker.end(None)
        assert 0 == code
        assert ": 1 done, 0 failed" in output
        assert [(DONE, 1), (PENDING, 0)] == states(shop)
        assert not (shop.folder / "begun-101").exists()

    def test_twice_is_at_once(self, shop):
        """What runs is given back without an attempt, and the exit code tells."""
        send(shop, 100)
        with working(shop) as worker:
            wait_for((shop.folder / "begun-100").exists)
            worker.tell(signal.SIGINT)
            worker.read_until("SIGINT: finishing what runs")
            began = time.monotonic()
            code, output = worker.end(signal.SIGINT)
        assert 130 == code
        assert time.monotonic() - began < 5
        assert "0 done, 0 failed, 1 given back\n" in output
        assert [(PENDING, 0)] == states(shop)

    def test_the_grace_runs_out(self, shop):
        """The worker ends all the same, as it was asked to."""
        send(shop, 100)
        with working(shop, "--app", "shop", "--grace", "0.3s") as worker:
            wait_for((shop.folder / "begun-100").exists)
            code, output = worker.end()
        assert 0 == code
        assert "1 receivers have not returned within 0.3 s" in output
        assert "0 done, 0 failed, 1 given back\n" in output
        assert [(PENDING, 0)] == states(shop)

    def test_when_idle(self, shop):
        """It ends at once."""
        with working(shop) as worker:
            worker.read_until("billing.receipt of order_paid")
            began = time.monotonic()
            code, output = worker.end()
        assert (0, True) == (code, output.endswith(": 0 done, 0 failed\n"))
        assert time.monotonic() - began < 5

    def test_children_of_receivers_are_told_as_ever(self, shop):
        """A program that a receiver starts is not deaf to SIGTERM."""
        shop.write(
            "more.py",
            """
            import subprocess
            from shop import *
            from receivers import *

            @order_paid.connect
            @durable("child")
            def child(sender, **extra):
                process = subprocess.Popen(["sleep", "30"])
                process.terminate()
                Path(f"ended-{-process.wait(10)}").touch()
            """,
        )
        source = (shop.folder / "send.py").read_text().replace("from shop", "from more")
        (shop.folder / "send.py").write_text(source)
        send(shop, 1)
        with working(shop, "--app", "more") as worker:
            wait_for((shop.folder / "ended-15").exists)
            assert 0 == worker.end()[0]

    def test_nobody_reads_what_it_says(self, shop):
        """It works, and ends, all the same."""
        send(shop, 1, 13)
        command = shlex.join([*ALDIS, "worker", "--app", "shop"])
        process = shop.start("/bin/sh", "-c", f"exec {command} 2>&-")
        try:
            wait_for((shop.folder / "done-1").exists)
            process.terminate()
            assert 0 == process.wait(20)
        finally:
            process.kill()
            process.wait(10)
            process.stdout.close()


MISTAKES = {
    "--app plain:engine": "no app, but an object of type Engine",
    "--outbox plain:engine": "Error: plain:engine is no outbox, but an object of type Engine\n",
    "--outbox plain:outbux": ("Error: module 'plain' has no 'outbux'; did you mean 'outbox'?\n"),
    "--app bare": "Error: the app <Flask 'bare'> has no outbox: give it one, Aldis(app, ",
    "--app shop --receiver billing.recipt": (
        "Error: there is no durable receiver 'billing.recipt'; did you mean 'billing.receipt'?\n"
    ),
    "--app idle --receiver idle": "Error: not connected to any signal: idle\n",
    "--outbox empty:outbox": (
        "Error: there is no durable receiver to serve: is the module with them imported?\n"
    ),
    "--app shop --concurrency 0": "Invalid value for '--concurrency' / '-c': 0 is not in the range",
    "--app shop --lease 0": "Error: a lease is a number of seconds above 0, not 0.0\n",
    "--app shop --grace soon": (
        "Invalid value for '--grace': 'soon' is no duration: write 90s, 15m, 12h or 7d.\n"
    ),
    "--app memory": (
        "Error: an SQLite database in memory is seen by no other process, so that nothing ever "
        "gets to a worker: name a file, as in sqlite:///shop.db\n"
    ),
    "--app kept": (
        "Error: the app's outbox keeps deliveries in a MemoryStore, where no other process sees "
        "them\n"
    ),
}

APPS = {
    "bare.py": "from flask import Flask\napp = Flask('bare')",
    "idle.py": "from shop import *\nfrom receivers import *\ndurable('idle')(print)",
    "empty.py": (
        "from aldis.durable import Outbox\nfrom sqlalchemy import create_engine\n"
        "outbox = Outbox(engine=create_engine('sqlite:///shop.db'))"
    ),
    "memory.py": "import os; os.environ['SHOP_URL'] = 'sqlite://'\nfrom shop import *",
    "kept.py": (
        "import aldis.as_blinker\nfrom flask import Flask\nfrom aldis.flask import Aldis\n"
        "from aldis.durable import Outbox\nfrom aldis.durable.memory import MemoryStore\n"
        "app = Flask('kept')\nAldis(app, outbox=Outbox(store=MemoryStore()))"
    ),
}


class TestRefusals:
    @pytest.mark.parametrize("command", MISTAKES)
    def test_a_mistake(self, shop, command):
        """It is told in a line before anything is begun."""
        for name, source in APPS.items():
            shop.write(name, source)
        ended = shop.run(*ALDIS, "worker", *shlex.split(command))
        assert 2 == ended.returncode
        assert MISTAKES[command] in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_no_tables(self, shop):
        """The remedy is named."""
        with closing(sqlite3.connect(shop.folder / "shop.db")) as connection:
            for table in ("deliveries", "workers", "paused", "version"):
                connection.execute(f"DROP TABLE aldis_{table}")
        ended = shop.run(*ALDIS, "worker", "--app", "shop")
        assert 2 == ended.returncode
        assert ended.stderr.startswith(
            "Error: the tables aldis_* are missing: run `aldis db upgrade`, or add them to your own"
        )

    def test_no_file(self, shop):
        """None is created."""
        ended = shop.run(*ALDIS, "worker", "--app", "shop", SHOP_URL="sqlite:///other.db")
        assert 2 == ended.returncode
        assert "other.db': `aldis db upgrade` creates it\n" in ended.stderr
        assert not (shop.folder / "other.db").exists()

    def test_no_server(self, shop):
        """Without the password."""
        url = "postgresql+psycopg://me:secret@127.0.0.1:1/shop"
        ended = shop.run(*ALDIS, "worker", "--app", "shop", SHOP_URL=url)
        assert 2 == ended.returncode
        assert ended.stderr.startswith(
            "Error: the database postgresql+psycopg://me:***@127.0.0.1:1/shop cannot be reached: "
        )
        assert "secret" not in ended.stderr

    def test_a_read_only_file(self, shop):
        """It is said, and tried again: somebody may be mending it."""
        send(shop, 1)
        url = f"sqlite:///file:{shop.folder}/shop.db?mode=ro&uri=true"
        with working(shop, "--app", "shop", SHOP_URL=url) as worker:
            said = worker.read_until("tries again until the database answers")
            code, _ = worker.end()
        assert "the outbox's database cannot be written to, it is read-only" in said
        assert 0 == code


@pytest.mark.service
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_async_database(project, tmp_path, kind):
    """Its driver runs in an event loop; sync and async receivers work, and SIGTERM ends it."""
    pytest.importorskip("aiosqlite")
    pytest.importorskip("asyncpg")
    project.write(
        "pier.py",
        """
        import asyncio, os
        from aldis.durable import Outbox
        from receivers import *
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

        engine = create_async_engine(os.environ["SHOP_URL"])
        outbox = Outbox(engine=engine)

        @order_paid.connect
        @durable("shipping.label")
        async def label(sender, **extra): Path("labelled").touch()

        async def send():
            async with AsyncSession(engine) as session, session.begin():
                with outbox.using(session):
                    order_paid.send("harbour", order_id=1)
            await engine.dispose()
        """,
    )
    project.write("receivers.py", RECEIVERS)
    project.write("send.py", "import asyncio, pier\nasyncio.run(pier.send())")
    with database(kind, tmp_path) as url:
        engine = create_engine(url)
        upgrade(engine)
        engine.dispose()
        driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[kind]
        where = {"SHOP_URL": driver + url[url.index(":") :]}
        send(project, **where)
        with working(project, "--outbox", "pier:outbox", **where) as worker:
            wait_for((project.folder / "done-1").exists)
            wait_for((project.folder / "labelled").exists)
            code, output = worker.end()
    assert 0 == code
    assert ": 2 done, 0 failed\n" in output
    advice = f"aldis db upgrade --wal --url sqlite:///{tmp_path}/place.db --prefix aldis_\n"
    assert (kind == "sqlite") == (advice in output)
