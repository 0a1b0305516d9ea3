"""``aldis worker`` refuses to start and explains why."""

import shlex
import sqlite3
from contextlib import closing

import pytest

from tests.cli.durable_shop import send, working
from tests.cli.support import ALDIS

MISTAKES = {
    "--app plain:engine": "not an app but an object of type Engine",
    "--outbox plain:engine": "Error: plain:engine is not an outbox but an object of type Engine\n",
    "--outbox plain:outbux": ("Error: module 'plain' has no 'outbux'; did you mean 'outbox'?\n"),
    "--app bare": "Error: the app <Flask 'bare'> has no outbox: give it one, Aldis(app, ",
    "--app shop --receiver billing.recipt": (
        "Error: unknown durable receiver 'billing.recipt'; did you mean 'billing.receipt'?\n"
    ),
    "--app idle --receiver idle": (
        "Error: not connected to any signal: idle; connect them, or leave them out\n"
    ),
    "--outbox empty:outbox": (
        "Error: the app has no durable receivers: import the module that defines them\n"
    ),
    "--app shop --concurrency 0": "Invalid value for '--concurrency' / '-c': '0' is not",
    "--app shop --lease 0": "Error: lease must be a number of seconds above 0, not 0.0\n",
    "--app shop --grace soon": (
        "Invalid value for '--grace': 'soon' is not a duration: write 90s, 15m, 12h or 7d.\n"
    ),
    "--app memory": (
        "Error: an SQLite database in memory is visible in one process only, so no worker sees "
        "its deliveries: name a file, as in sqlite:///shop.db\n"
    ),
    "--app kept": (
        "Error: the app's outbox keeps deliveries in a MemoryStore, which no other process sees\n"
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
        "from aldis.durable import Outbox\nfrom aldis.durable.store.memory import MemoryStore\n"
        "app = Flask('kept')\nAldis(app, outbox=Outbox(store=MemoryStore()))"
    ),
}


class TestRefusals:
    @pytest.mark.parametrize("command", MISTAKES)
    def test_a_mistake(self, shop, command):
        """A mistake is an error in one line, before the worker begins."""
        for name, source in APPS.items():
            shop.write(name, source)
        ended = shop.run(*ALDIS, "worker", *shlex.split(command))
        assert 2 == ended.returncode
        assert MISTAKES[command] in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_missing_tables(self, shop):
        """The error names the command that creates the tables."""
        with closing(sqlite3.connect(shop.folder / "shop.db")) as connection:
            for table in ("deliveries", "workers", "paused", "receivers", "audit", "version"):
                connection.execute(f"DROP TABLE aldis_{table}")
        ended = shop.run(*ALDIS, "worker", "--app", "shop")
        assert 2 == ended.returncode
        assert ended.stderr.startswith(
            "Error: the tables aldis_* are missing: run `aldis db upgrade`, or add them to your own"
        )

    def test_a_missing_file(self, shop):
        """The worker does not create a missing file."""
        ended = shop.run(*ALDIS, "worker", "--app", "shop", SHOP_URL="sqlite:///other.db")
        assert 2 == ended.returncode
        assert "other.db' does not exist: `aldis db upgrade` creates it\n" in ended.stderr
        assert not (shop.folder / "other.db").exists()

    def test_a_server_that_does_not_answer(self, shop):
        """The error shows the URL without the password."""
        url = "postgresql+psycopg://me:secret@127.0.0.1:1/shop"
        ended = shop.run(*ALDIS, "worker", "--app", "shop", SHOP_URL=url)
        assert 2 == ended.returncode
        assert ended.stderr.startswith(
            "Error: the database postgresql+psycopg://me:***@127.0.0.1:1/shop cannot be reached: "
        )
        assert "secret" not in ended.stderr

    def test_a_read_only_file(self, shop):
        """The worker reports a read-only file and keeps retrying."""
        send(shop, 1)
        url = f"sqlite:///file:{shop.folder}/shop.db?mode=ro&uri=true"
        with working(shop, "--app", "shop", SHOP_URL=url) as worker:
            said = worker.read_until("tries again until the database answers")
            code, _ = worker.end()
        assert "the outbox's database is read-only" in said
        assert 0 == code
