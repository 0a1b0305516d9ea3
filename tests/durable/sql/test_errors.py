"""An error of the database is explained by its code, not by the words of its message."""

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import StaticPool

from aldis.durable.store.sql.errors import Problem, problem_of
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import DeliveryFilter
from aldis.errors import OutboxError, SchemaError
from tests.durable.sql.databases import DATABASES, database, run
from tests.durable.support import create_tables

SERVERS = DATABASES[1:]

#: The password of the users here.
LOGIN = {"password": "no"}


def asked(url, **options):
    """Ask a store on a new engine for its deliveries; return its error."""
    engine = create_engine(url, **options)
    try:
        with pytest.raises(OutboxError) as refused:
            SqlStore(engine).find(DeliveryFilter(), limit=1)
    finally:
        engine.dispose()
    return refused.value


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """Give a new database without tables, on each server."""
    with database(request.param, tmp_path) as url:
        yield make_url(url)


@pytest.fixture(params=SERVERS)
def server_url(request, tmp_path):
    """Give a new database without tables, on each server with logins."""
    with database(request.param, tmp_path) as url:
        yield make_url(url)


def test_missing_tables(url):
    """The error names the command that creates the tables."""
    error = asked(url)
    assert isinstance(error, SchemaError)
    assert "create them with 'aldis db upgrade'" in str(error)


def test_missing_column(url):
    """The error names the command that upgrades the tables."""
    engine = create_engine(url)
    create_tables(engine)
    run(engine, "ALTER TABLE aldis_deliveries DROP COLUMN traceparent")
    engine.dispose()
    error = asked(url)
    assert isinstance(error, SchemaError)
    assert "of another version of aldis" in str(error)


def test_wrong_database(server_url):
    """A database that does not exist is not reported as missing tables."""
    error = asked(server_url.set(database="aldis_nowhere"))
    assert not isinstance(error, SchemaError)
    assert "aldis_nowhere" in str(error)


def test_wrong_user(server_url):
    """A user that does not exist is not reported as missing tables."""
    error = asked(server_url.set(username="aldis_nobody", **LOGIN))
    assert not isinstance(error, SchemaError)
    assert "aldis_nobody" in str(error)


def test_missing_privilege(server_url):
    """The error names the privileges that the user needs."""
    owner = create_engine(server_url)
    create_tables(owner)
    login = "'aldis_guest'@'%'" if owner.dialect.name == "mariadb" else "aldis_guest"
    password = "IDENTIFIED BY 'no'" if owner.dialect.name == "mariadb" else "LOGIN PASSWORD 'no'"
    run(owner, f"DROP USER IF EXISTS {login}", f"CREATE USER {login} {password}")
    try:
        if owner.dialect.name == "mariadb":
            run(owner, f"GRANT SELECT ON {server_url.database}.notes TO {login}")
        error = asked(server_url.set(username="aldis_guest", **LOGIN))
    finally:
        run(owner, f"DROP USER {login}")
        owner.dispose()
    assert not isinstance(error, SchemaError)
    assert "grant SELECT, INSERT, UPDATE and DELETE" in str(error)


@pytest.mark.service
def test_a_lost_prepared_statement(tmp_path):
    """A pooler that switches sessions loses prepared statements: the error names the option."""
    with database("postgresql", tmp_path) as url:
        engine = create_engine(url, poolclass=StaticPool, connect_args={"prepare_threshold": 0})
        create_tables(engine)
        store = SqlStore(engine)
        assert [] == store.find(DeliveryFilter(), limit=1)
        raw = engine.raw_connection()
        raw.driver_connection.pgconn.exec_(b"DEALLOCATE ALL")  # psycopg does not see it
        raw.close()
        with pytest.raises(OutboxError, match="prepare_threshold") as refused:
            store.find(DeliveryFilter(), limit=1)
        engine.dispose()
    assert not isinstance(refused.value, SchemaError)


@pytest.mark.service
@pytest.mark.parametrize(
    "driver", ["postgresql+psycopg", "postgresql+psycopg2", "postgresql+pg8000", "mysql+mysqldb"]
)
def test_codes_of_other_database_errors(driver, tmp_path):
    """Each driver keeps the code of an error in another place."""
    kind = "mariadb" if driver.startswith("mysql") else "postgresql"
    with database(kind, tmp_path) as url:
        try:
            engine = create_engine(make_url(url).set(drivername=driver))
        except ModuleNotFoundError as missing:
            pytest.skip(f"{missing.name} is not installed")
        with engine.connect() as connection, pytest.raises(Exception, match="nowhere") as refused:
            connection.execute(text("SELECT 1 FROM nowhere"))
        engine.dispose()
    assert problem_of(refused.value) is Problem.NO_TABLE
