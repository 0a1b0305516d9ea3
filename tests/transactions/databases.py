"""Databases for sessions: an SQLite file, and separate schemas on a PostgreSQL server."""

from contextlib import closing, contextmanager
from uuid import uuid4

import psycopg
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.services import POSTGRESQL


def begin_properly(engine):
    """Let SQLite begin a transaction when SQLAlchemy does, not at the first write."""

    @event.listens_for(engine, "connect")
    def leave_it_to_sqlalchemy(connection, record):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN")


@contextmanager
def sqlite(path):
    """Provide an engine on a new file."""
    engine = create_engine(f"sqlite:///{path}")
    begin_properly(engine)
    yield engine
    engine.dispose()


def async_sqlite(path):
    """Return an async engine on a file."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=NullPool)
    begin_properly(engine.sync_engine)
    return engine


@contextmanager
def postgresql_schema():
    """Create a schema, yield its name, and drop it."""
    POSTGRESQL.require()
    server = psycopg.connect(POSTGRESQL.url, autocommit=True)
    name = f"aldis_{uuid4().hex[:12]}"
    with closing(server):
        server.execute(f"CREATE SCHEMA {name}")
        try:
            yield name
        finally:
            server.execute(f"DROP SCHEMA {name} CASCADE")


@contextmanager
def postgresql(schema):
    """Provide an engine on a schema."""
    engine = create_engine(
        POSTGRESQL.sqlalchemy_url("postgresql+psycopg"),
        connect_args={"options": f"-c search_path={schema}"},
    )
    yield engine
    engine.dispose()


def async_postgresql(schema):
    """Return an async engine on a schema."""
    return create_async_engine(
        POSTGRESQL.sqlalchemy_url("postgresql+asyncpg"),
        connect_args={"server_settings": {"search_path": schema}},
        poolclass=NullPool,
    )
