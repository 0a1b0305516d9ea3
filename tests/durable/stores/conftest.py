"""Fixtures for the tests of stores."""

import pytest
from sqlalchemy import MetaData, delete

from aldis.durable.store.sql.migrate import upgrade
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.store.sql.tables import tables
from tests.durable.sql import databases

KINDS = ["sqlite", "sqlite_wal", *databases.SERVER_KINDS]


@pytest.fixture(scope="module", params=KINDS)
def engine(request, tmp_path_factory):
    """Give an engine on a new database with the outbox's tables."""
    with databases.engine_on(request.param, tmp_path_factory.mktemp("database")) as engine:
        upgrade(engine)
        yield engine


@pytest.fixture
def sql_store(engine):
    """Give an empty store in the database."""
    return emptied(SqlStore(engine))


def emptied(store):
    """Delete every row of a store; return the store."""
    ours = tables(MetaData(), store.prefix)
    with store.engine.begin() as connection:
        for table in (ours.deliveries, ours.workers, ours.paused, ours.receivers):
            connection.execute(delete(table))
    return store
