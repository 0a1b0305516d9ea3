"""Databases for the tests of stores: SQLite files, and new databases on the servers."""

from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url

from aldis.durable.store.sql.connection import use_wal
from tests.services import MARIADB, POSTGRESQL

#: The databases that need a server, as parameters of tests.
SERVER_KINDS = [
    pytest.param("postgresql", marks=pytest.mark.service),
    pytest.param("mariadb", marks=pytest.mark.service),
]


@contextmanager
def sqlite(directory):
    """Give an engine on a new SQLite file with default settings."""
    # A busy machine can keep a writer waiting for longer than the default of five seconds.
    url = f"sqlite:///{directory / 'aldis.db'}"
    engine = create_engine(url, pool_size=10, connect_args={"timeout": 60})
    yield engine
    engine.dispose()


@contextmanager
def sqlite_wal(directory):
    """Give an engine on a new SQLite file with a write-ahead log."""
    with sqlite(directory) as engine:
        use_wal(engine)
        yield engine


@contextmanager
def postgresql(directory):
    """Give an engine on a new database of the PostgreSQL server."""
    with on_server(POSTGRESQL, "postgresql+psycopg") as engine:
        yield engine


@contextmanager
def mariadb(directory):
    """Give an engine on a new database of the MariaDB server."""
    with on_server(MARIADB, "mariadb+pymysql", charset="utf8mb4") as engine:
        yield engine


@contextmanager
def on_server(service, driver, **query):
    """Create a database on a server, give an engine on it, and drop it."""
    service.require()
    url = make_url(service.sqlalchemy_url(driver)).update_query_dict(query)
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    name = f"aldis_{uuid4().hex[:12]}"
    execute(server, f"CREATE DATABASE {name}")
    engine = create_engine(url.set(database=name), pool_size=10)
    try:
        yield engine
    finally:
        engine.dispose()
        force = " WITH (FORCE)" if server.dialect.name == "postgresql" else ""
        execute(server, f"DROP DATABASE {name}{force}")
        server.dispose()


def execute(engine, statement):
    """Execute one statement."""
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
