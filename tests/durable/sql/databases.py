"""Databases of their own for tests: a file of SQLite, or one on a server, dropped in the end."""

import os
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

SERVERS = {
    "postgresql": "postgresql+psycopg://postgres@127.0.0.1:5432",
    "mariadb": "mariadb+pymysql://root@127.0.0.1:3306",
    "mysql": "mysql+pymysql://root@127.0.0.1:3306",  # how MariaDB is named as well
}

KINDS = [
    "sqlite",
    *(pytest.param(kind, marks=pytest.mark.service) for kind in ("postgresql", "mariadb", "mysql")),
]

#: Without "mysql", which is the same server by another of SQLAlchemy's names.
DATABASES = KINDS[:-1]


@contextmanager
def database(kind, folder):
    """Make a database, and drop it in the end; its address is given."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/place.db"
        return
    name = f"aldis_{uuid4().hex[:12]}"
    engine = create_engine(
        f"{SERVERS[kind]}/test", isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except OperationalError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no {kind} answers: {error.orig}")
    try:
        yield f"{SERVERS[kind]}/{name}"
    finally:
        force = " WITH (FORCE)" if kind == "postgresql" else ""
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


def run(engine, *statements):
    """Run statements and commit them."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
