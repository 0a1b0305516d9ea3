"""If a database refuses to create the tables, the error is one line."""

import os
import stat

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from aldis.durable.store.sql import migrate
from aldis.errors import OutboxError
from tests.durable.sql.databases import database, run


class TestRefusals:
    @pytest.fixture
    def path(self, tmp_path):
        """Give the path of an SQLite file."""
        return tmp_path / "place.db"

    def test_a_server_that_does_not_answer(self):
        """The error names the address without the password."""
        engine = create_engine("postgresql+psycopg://me:secret@127.0.0.1:1/shop")
        with pytest.raises(OutboxError) as raised:
            migrate.upgrade(engine)
        said = str(raised.value)
        assert said.startswith(
            "the database postgresql+psycopg://me:***@127.0.0.1:1/shop cannot be reached: "
        )
        assert "Connection refused" in said
        assert "\n" not in said

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes everything")
    def test_a_file_that_is_read_only(self, path):
        """The error has SQLite's message."""
        path.touch()
        path.chmod(stat.S_IRUSR)
        refused(create_engine(f"sqlite:///{path}"), "attempt to write a readonly database")

    def test_a_database_opened_read_only(self, path):
        """A database that is opened with ``mode=ro`` gives the same error."""
        path.touch()
        url = f"sqlite:///file:{path}?mode=ro&uri=true"
        refused(create_engine(url), "attempt to write a readonly database")

    def test_a_locked_file(self, path):
        """The error has a remedy."""
        first = create_engine(f"sqlite:///{path}")
        second = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.1})
        with first.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            refused(
                second,
                "database is locked: another connection is writing; try again when it has "
                "committed",
            )
            connection.rollback()
        migrate.upgrade(second)
        first.dispose()
        second.dispose()

    def test_a_file_of_another_kind(self, path):
        """The file does not change."""
        path.write_text("Dear diary, " * 100)
        refused(create_engine(f"sqlite:///{path}"), "file is not a database")
        assert "Dear diary, " * 100 == path.read_text()

    @pytest.mark.service
    def test_a_role_without_permission(self, tmp_path):
        """The error has PostgreSQL's message without the statement."""
        with database("postgresql", tmp_path) as url:
            engine = create_engine(url, poolclass=NullPool)
            role = url.rpartition("/")[2]
            run(engine, f"CREATE ROLE {role} LOGIN")
            try:
                theirs = create_engine(url.replace("postgres@", f"{role}@"), poolclass=NullPool)
                refused(theirs, "permission denied for schema public")
            finally:
                run(engine, f"DROP ROLE {role}")

    @pytest.mark.service
    def test_a_user_without_permission(self, tmp_path):
        """The error has MariaDB's message."""
        with database("mariadb", tmp_path) as url:
            engine = create_engine(url, poolclass=NullPool)
            name = url.rpartition("/")[2]
            run(
                engine,
                f"CREATE USER {name}@'127.0.0.1', {name}@localhost",
                f"GRANT SELECT ON {name}.* TO {name}@'127.0.0.1', {name}@localhost",
            )
            try:
                theirs = create_engine(url.replace("root@", f"{name}@"), poolclass=NullPool)
                refused(theirs, "CREATE command denied to user")
            finally:
                run(engine, f"DROP USER {name}@'127.0.0.1', {name}@localhost")


def refused(engine, reason):
    """Check that ``upgrade`` fails for a reason."""
    with pytest.raises(OutboxError) as raised:
        migrate.upgrade(engine)
    said = str(raised.value)
    assert said.startswith(f"the tables in {engine.url} cannot be brought up to date: {reason}")
    assert "\n" not in said
    engine.dispose()
