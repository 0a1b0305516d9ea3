"""Fixtures of the ``after_commit`` tests: a database and receivers."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

import aldis
from aldis.receivers import after_commit
from tests.transactions import databases
from tests.transactions.tables import Table


@pytest.fixture
def engine(tmp_path):
    """Return an engine on a new SQLite file with tables."""
    with databases.sqlite(tmp_path / "place.db") as engine:
        Table.metadata.create_all(engine)
        yield engine


@pytest.fixture
async def async_engine(engine):
    """Give an async engine on the database file."""
    async_engine = databases.async_sqlite(engine.url.database)
    yield async_engine
    await async_engine.dispose()


@pytest.fixture
def session(engine):
    """Give a session."""
    with Session(engine) as session:
        yield session


@pytest.fixture
async def async_session(async_engine):
    """Give an async session with the recommended setting."""
    async with AsyncSession(async_engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def signal():
    """Give a signal."""
    return aldis.Signal()


@pytest.fixture
def received():
    """Return a list for the received payloads."""
    return []


@pytest.fixture
def receiver(signal, session, received):
    """Give a connected receiver that runs after the commit."""

    @signal.connect
    @after_commit(session=session)
    def receiver(sender, **extra):
        received.append(sender)
        return sender

    return receiver
