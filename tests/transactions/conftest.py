"""Shared fixtures for transactions."""

import pytest
from sqlalchemy.orm import Session

from tests.transactions import databases
from tests.transactions.tables import Table

PARAMETERS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.service)]


@pytest.fixture(autouse=True)
def always_lenient(lenient):
    """Start each test with strict mode off."""


@pytest.fixture(params=PARAMETERS)
def place(request, tmp_path):
    """Provide a new database with the tables, as its kind and its path or schema."""
    if request.param == "sqlite":
        with databases.sqlite(tmp_path / "place.db") as engine:
            Table.metadata.create_all(engine)
            yield "sqlite", tmp_path / "place.db"
        return
    with databases.postgresql_schema() as schema:
        with databases.postgresql(schema) as engine:
            Table.metadata.create_all(engine)
        yield "postgresql", schema


@pytest.fixture
def engine(place):
    """Provide an engine on the database."""
    kind, where = place
    with getattr(databases, kind)(where) as engine:
        yield engine


@pytest.fixture
async def async_engine(place):
    """Provide an async engine on the database."""
    kind, where = place
    engine = getattr(databases, f"async_{kind}")(where)
    yield engine
    await engine.dispose()


@pytest.fixture
def session(engine):
    """Provide a session."""
    with Session(engine) as session:
        yield session
