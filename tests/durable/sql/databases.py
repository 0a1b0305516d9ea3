"""Create new databases for tests: SQLite files, and databases on a server that are dropped."""

from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from aldis.durable.store.sql.connection import use_wal
from tests.services import MARIADB, POSTGRESQL

#: The service and the driver of each kind; "mysql" is another name for MariaDB.
SERVERS = {
    "postgresql": (POSTGRESQL, "postgresql+psycopg"),
    "mariadb": (MARIADB, "mariadb+pymysql"),
    "mysql": (MARIADB, "mysql+pymysql"),
}

KINDS = [
    "sqlite",
    *(pytest.param(kind, marks=pytest.mark.service) for kind in ("postgresql", "mariadb", "mysql")),
]

#: Without "mysql", which is SQLAlchemy's other name for MariaDB.
DATABASES = KINDS[:-1]

#: The databases that need a server.
SERVER_KINDS = DATABASES[1:]


@contextmanager
def database(kind, folder):
    """Create a database, yield its URL, and drop it."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/place.db"
        return
    service, driver = SERVERS[kind]
    service.require()
    name = f"aldis_{uuid4().hex[:12]}"
    server = service.sqlalchemy_url(driver)
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield service.sqlalchemy_url(driver, name)
    finally:
        force = " WITH (FORCE)" if kind == "postgresql" else ""
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


@contextmanager
def engine_on(kind, folder):
    """Create a database and yield an engine with ten connections.

    The kind "sqlite_wal" is SQLite with a write-ahead log.
    """
    dialect = kind.removesuffix("_wal")
    # A busy machine can keep a writer waiting for longer than SQLite's default of five seconds.
    options = {"connect_args": {"timeout": 60}} if dialect == "sqlite" else {}
    with database(dialect, folder) as url:
        engine = create_engine(url, pool_size=10, **options)
        if kind == "sqlite_wal":
            use_wal(engine)
        yield engine
        engine.dispose()


def run(engine, *statements):
    """Run statements and commit them."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
