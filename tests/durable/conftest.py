"""Fixtures for durable receivers: databases with the tables, and an outbox."""

import gc
import warnings

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from aldis.durable import Outbox, durable
from tests.durable import support
from tests.durable.support import order_paid


@pytest.fixture
def engine(tmp_path):
    """Give an engine on an SQLite file with the tables."""
    with support.sqlite(tmp_path / "shop.db") as engine:
        yield engine


@pytest.fixture
def outbox(engine):
    """Give an outbox without a session."""
    return Outbox(engine=engine)


@pytest.fixture
def file(tmp_path):
    """Give an SQLite file with the tables."""
    with support.sqlite(tmp_path / "shop.db"):
        return tmp_path / "shop.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
async def async_engine(request):
    """Give an async engine with the tables on each database with an async driver."""
    if request.param == "sqlite":
        file = request.getfixturevalue("file")
        engine = create_async_engine(f"sqlite+aiosqlite:///{file}", poolclass=NullPool)
        yield engine
        await engine.dispose()
        return
    from tests.transactions import databases

    with databases.postgresql_schema() as schema:
        engine = databases.async_postgresql(schema)
        async with engine.begin() as connection:
            await connection.run_sync(support.create_tables)
        yield engine
        await engine.dispose()


@pytest.fixture
def dropped_connections():
    """Collect the connections that a worker dropped, without psycopg's warning about them.

    A connection without an answer cannot be closed properly. The garbage collector closes it.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def receipt(aldis_clean):
    """Give a connected durable receiver that does nothing."""

    @order_paid.connect
    @durable("billing.receipt")
    def receipt(sender, **extra): ...

    return receipt
