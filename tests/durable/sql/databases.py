"""Databases of their own for tests: a file of SQLite, or one on a server, dropped in the end."""

from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

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

#: Without "mysql", which is the same server by another of SQLAlchemy's names.
DATABASES = KINDS[:-1]


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


def run(engine, *statements):
    """Run statements and commit them."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
