"""The output of ``aldis worker``, and the deliveries that it runs."""

import re
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import create_engine

from aldis.durable.store.sql.migrate import upgrade
from tests.cli.durable_shop import DEAD, DONE, PENDING, send, states, wait_for, working, write_shop
from tests.durable.sql.databases import database

ADVICE = (
    "this SQLite file has no write-ahead log, so workers and the app wait for each other; "
    "turn it on: aldis db upgrade --wal\n"
)


class TestServing:
    def test_the_output(self, shop):
        """The worker prints its receivers and database, each failure, and a summary."""
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
            "SIGTERM: waiting for running receivers; a second signal does not wait",
            "worker quay-1: 1 done, 1 failed",
        ] == lines[3:]
        assert [(DONE, 1), (DEAD, 1)] == states(shop)

    def test_warnings_at_the_start(self, shop):
        """The worker warns about unknown or unconnected receivers and a missing write-ahead log."""
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
            worker.read_until("1 delivery waits for durable receiver 'billing.recipt'")
            code, output = worker.end()
        assert 0 == code
        assert ADVICE in output
        assert "WARNING durable receiver 'idle' (print) is not connected to any signal" in output

    def test_only_the_receiver_of_the_option(self, shop):
        """With --receiver, the deliveries of other receivers wait."""
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
        """--outbox names the outbox. With --app, the worker imports the app, too."""
        send(shop, 1)
        with working(shop, "--outbox", "plain:outbox") as worker:
            wait_for((shop.folder / "done-1").exists)
            assert 0 == worker.end()[0]
        send(shop, 2)
        with working(shop, "--outbox", "plain:outbox", "--app", "shop") as worker:
            wait_for((shop.folder / "done-2").exists)
            assert 0 == worker.end()[0]

    def test_quart(self, shop):
        """Async and sync receivers run in the app's context."""
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
        """If the app configures logging, the worker logs only there."""
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
        """A commit wakes the two workers, they share the work, and the output has no password."""
        with database("postgresql", tmp_path) as url:
            engine = create_engine(url)
            upgrade(engine)
            engine.dispose()
            where = {"SHOP_URL": url.replace("postgres@", "postgres:secret@")}
            with (
                working(shop, "--app", "shop", **where) as one,
                working(shop, "--app", "shop", **where) as other,
            ):
                output = one.read_until("at a time")
                other.read_until("at a time")
                assert ("secret" in output, ":***@" in output) == (False, True)
                send(shop, *range(1, 9), **where)
                wait_for(lambda: 8 == len([*shop.folder.glob("done-*")]))
                ended = one.end(), other.end()
        done = [int(re.search(r"(\d+) done, 0 failed", output)[1]) for _, output in ended]
        assert ([0, 0], 8) == ([code for code, _ in ended], sum(done))
