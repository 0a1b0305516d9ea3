"""``aldis deliveries`` explains why it cannot use a database or an option."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from aldis.cli.group import aldis
from tests.cli.deliveries.support import said


class TestRefusals:
    @pytest.mark.parametrize("command", ["stats", "dead", "replay --all", "prune --older-than 1d"])
    def test_a_server_that_does_not_answer(self, command):
        """The error shows the URL without the password."""
        url = "postgresql+psycopg://me:secret@127.0.0.1:1/shop"
        ended = CliRunner().invoke(aldis, ["deliveries", *command.split(), "--url", url])
        assert 2 == ended.exit_code
        assert ended.stderr.startswith(
            "Error: the database postgresql+psycopg://me:***@127.0.0.1:1/shop cannot be reached: "
        )
        assert "secret" not in ended.stderr

    def test_an_async_driver(self, deliveries):
        """A URL with an async driver works."""
        pytest.importorskip("aiosqlite")
        deliveries.add(count=2)
        deliveries.kill()
        deliveries.url = deliveries.url.replace("sqlite:", "sqlite+aiosqlite:")
        assert 2 == deliveries.json("dead")["total"]
        assert "2 dead letters replayed.\n" == deliveries.run("replay", "--all", "--yes").stdout

    def test_a_read_only_file(self, deliveries):
        """The command can read a read-only file. A change is an error."""
        deliveries.add(count=2)
        deliveries.kill()
        path = deliveries.engine.url.database
        deliveries.url = f"sqlite:///file:{path}?mode=ro&uri=true"
        assert 2 == deliveries.json("dead")["total"]
        assert (
            2,
            (
                "Error: the outbox's database is read-only "
                "(attempt to write "
                "a readonly database); nothing was changed"
            ),
        ) == said(deliveries.run("replay", "--all", "--yes"))

    def test_a_locked_file(self, deliveries):
        """The error explains what to do about the lock."""
        deliveries.add()
        deliveries.kill()
        with closing(sqlite3.connect(deliveries.engine.url.database)) as other:
            other.execute("BEGIN IMMEDIATE")
            deliveries.url += "?timeout=0.1"
            code, message = said(deliveries.run("replay", "1"))
        assert 2 == code
        assert message.startswith("Error: the outbox's database is locked by another connection;")

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            (
                "sqlite://",
                (
                    "Error: an SQLite database in memory is visible in the app's process only: "
                    "name a file, as in sqlite:///shop.db"
                ),
            ),
            (
                "sqlite:///no.db",
                (
                    f"Error: the file 'no.db' does not exist in {Path.cwd()}: "
                    "`aldis db upgrade` creates it"
                ),
            ),
        ],
    )
    def test_a_missing_database(self, url, message):
        """The command does not create a missing database."""
        ended = CliRunner().invoke(aldis, ["deliveries", "stats", "--url", url])
        assert (2, message) == said(ended)

    def test_missing_tables(self, tmp_path):
        """The error names the command that creates the tables."""
        (tmp_path / "shop.db").touch()
        url = f"sqlite:///{tmp_path}/shop.db"
        code, message = said(CliRunner().invoke(aldis, ["deliveries", "stats", "--url", url]))
        assert 2 == code
        assert message.startswith("Error: the tables aldis_* are missing: run `aldis db upgrade`")

    def test_two_databases(self, deliveries):
        """Two options that name a database are an error."""
        ended = deliveries.run("stats", "--app", "shop")
        message = "Error: --app and --url both name a database: leave one out"
        assert (2, message) == said(ended)

    def test_a_missing_extra(self, project):
        """The error names the extra to install."""
        ended = project.run_without("sqlalchemy", "deliveries", "stats", "--url", "sqlite:///x")
        assert (2, 1) == (ended.returncode, ended.stderr.count("\n"))
        assert ended.stderr.endswith("which is not installed: pip install 'aldis[durable]'\n")
