"""``aldis db`` manages the tables of durable deliveries."""

import json
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.cli.support import ALDIS, CLOSED
from tests.cli.test_documentation import PAGE
from tests.durable.sql.databases import database

FILE = ("--url", "sqlite:///shop.db")
REVISIONS = (
    "0001: create the tables\n0002: find all deliveries of a send by an index\n"
    "0003: create the audit log of the dashboard\n"
    "0004: let workers pause a receiver that fails, and record which receivers they serve\n"
)
MISSING = (
    "the tables aldis_* are missing: run `aldis db upgrade`, or add them to your own migrations: "
    "aldis.durable.tables(metadata), then autogenerate"
)

FLASK_SHOP = """
    from aldis.durable import Outbox
    from aldis.flask import Aldis
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask("shop", instance_path="{folder}")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
    db = SQLAlchemy(app)
    Aldis(app, outbox=Outbox(db.session, prefix="harbour_"))
    plain = Flask("plain")
    """

OTHER_SHOP = """
    from aldis.durable import Outbox
    from sqlalchemy import create_engine

    engine = create_engine("sqlite:///shop.db")
    outbox = Outbox(engine=engine, prefix="quay_")
    nowhere = Outbox()
    number = 7
    """


WHERE = {"database": "sqlite:///shop.db", "database_schema": None, "prefix": "aldis_"}

MISTAKES = {
    "--app shop:plain": (
        "the app <Flask 'plain'> has no outbox: give it one, Aldis(app, "
        "outbox=Outbox(db.session)), or name one with --outbox module:name, or the database "
        "with --url"
    ),
    "--outbox other:number": "other:number is not an outbox but an object of type int",
    "--outbox other": "'other' is not of the form module:name",
    "--outbox other:outbux": "module 'other' has no 'outbux'; did you mean 'outbox'?",
    "--outbox other:nowhere": (
        "the database of other:nowhere is unknown: this outbox was made without a "
        "session; name the caller's session: with outbox.using(session): ..."
    ),
    "--url sqlite://": (
        "an SQLite database in memory is gone when this command ends: name a file, as in "
        "sqlite:///shop.db"
    ),
    "--url shop.db": (
        "the database URL has no ://; write sqlite:///shop.db, "
        "postgresql+psycopg://user:password@host/database or "
        "mariadb+pymysql://user:password@host/database"
    ),
    "--url ''": "the database URL is empty: is the variable set that should contain it?",
    "--url sqlite:shop.db": "the path follows three slashes: write sqlite:///shop.db",
    "--url sqlite://shop.db": (
        "a path after sqlite:// begins with one more slash: write sqlite:///shop.db for a file in "
        "the working directory, or sqlite:////shop.db for an absolute path"
    ),
    "--url postgres://me:secret@h/d": (
        "SQLAlchemy does not know postgres://, which others write: write postgresql+psycopg://"
    ),
    "--url POSTGRESQL://me:secret@h/d": (
        "SQLAlchemy does not know POSTGRESQL://, which others write: write postgresql+psycopg://"
    ),
    "--url sqlite3:///shop.db": (
        "SQLAlchemy does not know sqlite3://, which others write: write sqlite://"
    ),
    "--url postgresql+psycopg3://h/d": (
        "SQLAlchemy knows no driver 'psycopg3' for postgresql: write one of postgresql+psycopg, "
        "postgresql+psycopg2, postgresql+asyncpg, postgresql+pg8000"
    ),
    "--url postgresql+psycopg://me:se/cret@h:x/d": (
        "SQLAlchemy cannot read the database URL. In the user name and the password, write @ as "
        "%40, / as %2F, : as %3A and % as %25. The form is "
        "postgresql+psycopg://user:password@host:port/database"
    ),
    "--url mysql://h/d": (
        "mysql:// uses the driver MySQLdb, which is not installed: pip install mysqlclient, or "
        "write mysql+pymysql://, whose driver is installed"
    ),
    "--url sqlight:///shop.db": (
        "unknown database system 'sqlight': write sqlite, postgresql or mariadb, and the "
        "driver after a plus sign"
    ),
    "--url mssql://h/d": (
        "an outbox is kept in SQLite, PostgreSQL, MariaDB or MySQL, not in 'mssql'"
    ),
    "--url mysql+mysqlconnector://h/d": (
        "mysql+mysqlconnector:// uses the driver mysql, which is not installed: "
        "pip install mysql-connector-python, or write mysql+pymysql://, whose driver is installed"
    ),
}


def db(project, *command, **options):
    """Run ``aldis db``."""
    return project.run(*ALDIS, "db", *command, **options)


def result(ended):
    """Return the exit code and the text of the standard error."""
    return ended.returncode, ended.stderr


def tables_in(path):
    """Return the names of the tables of an SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


class TestUpgrade:
    def test_creates_the_tables(self, project):
        """Progress goes to the standard error, the result to the standard output."""
        ended = db(project, "upgrade", *FILE)
        assert (0, REVISIONS) == result(ended)
        assert "The tables aldis_* in sqlite:///shop.db are at revision 0004.\n" == ended.stdout
        again = db(project, "upgrade", *FILE)
        assert again.stdout.endswith(" were up to date, at revision 0004.\n")

    def test_a_prefix(self, project):
        """The names of all tables begin with the prefix."""
        db(project, "upgrade", *FILE, "--prefix", "shop_")
        names = ("audit", "receivers", "deliveries", "paused", "version", "workers")
        assert {f"shop_{each}" for each in names} == tables_in(project.folder / "shop.db")

    def test_an_invalid_prefix(self, project):
        """A prefix that cannot begin the name of a table is an error."""
        ended = db(project, "upgrade", *FILE, "--prefix", "1st")
        expected = "Error: a prefix is up to 30 letters, digits and underscores, not '1st'\n"
        assert (2, expected) == result(ended)

    def test_wal(self, project):
        """With --wal, the file gets a permanent write-ahead log."""
        db(project, "upgrade", *FILE)
        assert "delete" == journal_of(project)
        ended = db(project, "upgrade", *FILE, "--wal")
        assert (0, "shop.db has a write-ahead log from now on, for every program\n") == result(
            ended
        )
        assert "wal" == journal_of(project)

    @pytest.mark.parametrize("url", ["postgresql+psycopg://h/d", "sqlite+aiosqlite:///shop.db"])
    def test_wal_needs_an_sqlite_file_and_a_sync_driver(self, project, url):
        """--wal is an error for other databases and async drivers."""
        pytest.importorskip("aiosqlite")
        ended = db(project, "upgrade", "--url", url, "--wal")
        assert 2 == ended.returncode
        last = "Error: --wal needs an SQLite file and a driver that is not async\n"
        assert ended.stderr.endswith(last)

    def test_wal_and_sql(self, project):
        """--wal and --sql together are an error."""
        ended = db(project, "upgrade", *FILE, "--wal", "--sql")
        assert 2 == ended.returncode
        assert ended.stderr.endswith(
            "Error: --wal changes a file and --sql changes nothing: leave one out\n"
        )

    def test_sql(self, project):
        """The printed SQL creates the tables, and the command needs no database."""
        ended = db(project, "upgrade", *FILE, "--sql")
        assert (0, "") == result(ended)
        assert not (project.folder / "shop.db").exists()
        with closing(sqlite3.connect(project.folder / "shop.db")) as connection:
            connection.executescript(ended.stdout)
        assert "Nothing is wrong" in db(project, "check", *FILE).stdout

    @pytest.mark.parametrize("url", ["postgresql://", "mysql://", "mariadb+mariadbconnector://"])
    def test_sql_needs_no_driver(self, project, url):
        """Printing SQL needs neither a driver nor a server."""
        ended = db(project, "upgrade", "--url", url, "--sql", "--prefix", "x_")
        assert (0, "") == result(ended)
        assert "CREATE TABLE x_deliveries" in ended.stdout

    def test_an_async_driver(self, project):
        """The commands work with an async driver."""
        pytest.importorskip("aiosqlite")
        url = ("--url", "sqlite+aiosqlite:///shop.db")
        assert 0 == db(project, "upgrade", *url).returncode
        assert 0 == db(project, "check", *FILE).returncode
        assert "0004 (the newest)\n" == db(project, "current", *url).stdout

    @pytest.mark.service
    @pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
    def test_on_a_server(self, project, kind):
        """The commands work on a database server."""
        with database(kind, project.folder) as url:
            assert (0, REVISIONS) == result(db(project, "upgrade", "--url", url))
            assert 0 == db(project, "check", "--url", url).returncode

    @pytest.mark.service
    def test_interrupted(self, project):
        """Ctrl-C during the wait for a lock exits with 130, and the next run creates the tables."""
        with database("postgresql", project.folder) as url:
            import psycopg

            plain = url.replace("+psycopg", "")
            with psycopg.connect(plain) as other:
                other.execute("SELECT pg_advisory_xact_lock(hashtextextended('aldis  aldis_', 0))")
                waiting = project.start(*ALDIS, "db", "upgrade", "--url", url)
                with psycopg.connect(plain, autocommit=True) as watcher:
                    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
                    while not watcher.execute(
                        query + " AND datname = current_database()"
                    ).fetchone()[0]:
                        assert waiting.poll() is None
                waiting.send_signal(signal.SIGINT)
                out, _ = waiting.communicate(timeout=30)
            assert (130, True) == (waiting.returncode, out.endswith("Interrupted.\n")), out
            assert 0 == db(project, "upgrade", "--url", url).returncode


def journal_of(project):
    """Return the journal mode of the shop's file."""
    with closing(sqlite3.connect(project.folder / "shop.db")) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


class TestCheck:
    def test_complete_tables(self, project):
        """If the tables are complete, the exit code is 0."""
        db(project, "upgrade", *FILE)
        ended = db(project, "check", *FILE)
        assert (0, "") == result(ended)
        assert "Nothing is wrong with the tables aldis_* in sqlite:///shop.db.\n" == ended.stdout

    def test_missing_tables(self, project):
        """If tables are missing, the exit code is 1. The check does not create them."""
        (project.folder / "shop.db").touch()
        ended = db(project, "check", *FILE)
        assert (1, "") == result(ended)
        assert f"wrong: {MISSING}\n" == ended.stdout
        assert set() == tables_in(project.folder / "shop.db")

    def test_tables_of_a_newer_version(self, project):
        """Both commands report tables of a newer aldis and do not change them."""
        db(project, "upgrade", *FILE)
        with closing(sqlite3.connect(project.folder / "shop.db")) as connection:
            connection.execute("UPDATE aldis_version SET version_num = '0009'")
            connection.commit()
        ended = db(project, "check", *FILE)
        assert 1 == ended.returncode
        assert ended.stdout.startswith(
            "wrong: the tables aldis_* are of revision 0009, which aldis"
        )
        ended = db(project, "upgrade", *FILE)
        assert 2 == ended.returncode
        assert ended.stderr.startswith(
            "Error: the tables aldis_* are of revision 0009, which aldis"
        )
        assert "0009 (not 0004)\n" == db(project, "current", *FILE).stdout

    @pytest.mark.parametrize("command", ["check", "current"])
    def test_a_missing_file(self, project, command):
        """A command that only reads does not create the file."""
        ended = db(project, command, *FILE)
        where = project.folder
        expected = (
            f"Error: the file 'shop.db' does not exist in {where}: `aldis db upgrade` creates it\n"
        )
        assert (2, expected) == result(ended)
        assert [] == list(project.folder.iterdir())


class TestJson:
    def test_check(self, project):
        """The key of the problem contains a sentence or null."""
        db(project, "upgrade", *FILE)
        facts = {"schema": "aldis-db-check/1", **WHERE, "ok": True, "problem": None}
        known = {"revision": "0004", "newest": "0004"}
        assert facts | known == json.loads(db(project, "check", *FILE, "--json").stdout)
        (project.folder / "shop.db").unlink()
        (project.folder / "shop.db").touch()
        ended = db(project, "check", *FILE, "--json")
        assert 1 == ended.returncode
        facts |= {"ok": False, "problem": MISSING, "revision": None, "newest": "0004"}
        assert facts == json.loads(ended.stdout)

    def test_current(self, project):
        """The key of the revision contains a string or null."""
        db(project, "upgrade", *FILE)
        facts = {"schema": "aldis-db-current/1", **WHERE, "revision": "0004", "newest": "0004"}
        assert facts == json.loads(db(project, "current", *FILE, "--json").stdout)
        ended = db(project, "current", *FILE, "--json", "--prefix", "other_")
        assert facts | {"prefix": "other_", "revision": None} == json.loads(ended.stdout)


class TestChoosingTheDatabase:
    @pytest.fixture
    def shops(self, project):
        """Give a folder with a Flask app and with an outbox that no app has."""
        project.write("shop.py", FLASK_SHOP.replace("{folder}", str(project.folder)))
        project.write("other.py", OTHER_SHOP)
        return project

    def test_the_apps_outbox(self, shops):
        """The command uses the outbox's database and its prefix, unless --prefix is given."""
        ended = db(shops, "upgrade", "--app", "shop:app")
        assert (0, REVISIONS) == result(ended)
        assert "harbour_deliveries" in tables_in(shops.folder / "shop.db")
        assert 0 == db(shops, "check", ALDIS_APP="shop").returncode
        assert 0 == db(shops, "upgrade", "--app", "shop", "--prefix", "pier_").returncode
        assert "pier_deliveries" in tables_in(shops.folder / "shop.db")
        assert 0 == shops.run(*ALDIS, "--app", "shop:app", "db", "current").returncode

    def test_an_outbox(self, shops):
        """--outbox names the outbox of an app that is not a Flask app."""
        assert 0 == db(shops, "upgrade", "--outbox", "other:outbox").returncode
        assert "quay_deliveries" in tables_in(shops.folder / "shop.db")

    @pytest.mark.parametrize("command", MISTAKES)
    def test_options_that_name_no_database(self, shops, command):
        """Each mistake has a message in one line, and nothing is created."""
        ended = db(shops, "upgrade", *shlex.split(command))
        assert (2, f"Error: {MISTAKES[command]}\n") == result(ended)
        assert not (shops.folder / "shop.db").exists()

    def test_two_databases(self, shops):
        """Two options that name a database are an error."""
        ended = db(shops, "check", "--app", "shop", *FILE)
        assert 2 == ended.returncode
        last = "Error: --app and --url both name a database: leave one out\n"
        assert ended.stderr.endswith(last)

    def test_the_log_of_alembic_is_not_printed(self, shops):
        """An app that logs everything does not get Alembic's log into the output."""
        shops.write("loud.py", "import logging; logging.basicConfig(level=0)\nfrom shop import *")
        ended = db(shops, "upgrade", "--app", "loud")
        assert 0 == ended.returncode
        assert "alembic" not in ended.stderr


class TestRefusals:
    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("postgresql+psycopg://me:secret@127.0.0.1:1/shop", "Connection refused"),
            ("mariadb+pymysql://me:secret@127.0.0.1:1/shop", "Connection refused"),
        ],
    )
    @pytest.mark.parametrize("command", ["upgrade", "check", "current"])
    def test_a_server_that_does_not_answer(self, project, command, url, reason):
        """The error is one line without the password."""
        ended = db(project, command, "--url", url)
        assert (2, 1) == (ended.returncode, ended.stderr.count("\n"))
        where = url.replace("secret", "***")
        assert ended.stderr.startswith(f"Error: the database {where} cannot be reached: ")
        assert reason in ended.stderr
        assert "secret" not in ended.stderr

    @pytest.mark.parametrize("more", [(), ("--wal",)])
    def test_a_read_only_database(self, project, more):
        """A read-only file is an error in one line."""
        sqlite3.connect(project.folder / "shop.db").close()
        url = "sqlite:///file:shop.db?mode=ro&uri=true"
        ended = db(project, "upgrade", "--url", url, *more)
        assert (2, 1) == (ended.returncode, ended.stderr.count("\n"))
        assert "attempt to write a readonly database" in ended.stderr

    def test_a_locked_database(self, project):
        """The error explains what to do about the lock."""
        with closing(sqlite3.connect(project.folder / "shop.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            ended = db(project, "upgrade", "--url", "sqlite:///shop.db?timeout=0.1")
        assert 2 == ended.returncode
        assert ended.stderr == (
            "Error: the tables in sqlite:///shop.db?timeout=0.1 cannot be brought up to date: "
            "database is locked: another connection is writing; try again when it has committed\n"
        )

    @pytest.mark.parametrize("missing", ["sqlalchemy", "alembic"])
    def test_a_missing_extra(self, project, missing):
        """The error names the extra to install."""
        ended = project.run_without(missing, "db", "upgrade", *FILE)
        assert (2, 1) == (ended.returncode, ended.stderr.count("\n"))
        assert ended.stderr.endswith("is not installed: pip install 'aldis[durable]'\n")

    def test_an_output_that_cannot_be_written(self, project):
        """A closed output is an error with the exit code 2."""
        ended = db(project, "upgrade", *FILE, "--sql", out=CLOSED)
        assert (2, "Error: the standard output cannot be written: it is closed\n") == result(ended)


@pytest.mark.parametrize("command", ["check", "current"])
def test_every_key_of_the_json_is_documented(project, command):
    """The how-to lists each key of the JSON."""
    (project.folder / "shop.db").touch()
    facts = json.loads(db(project, command, *FILE, "--json").stdout)
    _, _, section = PAGE.partition(f"`{facts['schema']}`")
    documented = set(re.findall(r"`(\w+)`", section.partition("\n## ")[0]))
    assert set(facts) - {"schema"} <= documented


def test_the_commands_without_the_extra(project):
    """Other commands do not import SQLAlchemy."""
    code = "import aldis.cli.group, sys; print({'sqlalchemy', 'alembic'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()\n" == ended.stdout
