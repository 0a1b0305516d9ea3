"""A database for each test."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.durable.sql.databases import DATABASES, database


@pytest.fixture(params=DATABASES)
def kind(request):
    """Give the name of a kind of database."""
    return request.param


@pytest.fixture
def url(kind, tmp_path):
    """Give the address of a new database."""
    with database(kind, tmp_path) as address:
        yield address


@pytest.fixture
def engine(url):
    """Give an engine on a new database."""
    engine = create_engine(url, poolclass=NullPool)
    yield engine
    engine.dispose()
