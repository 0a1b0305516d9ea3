"""What the kill tests share: a database, and a nursery for processes."""

import pytest

from tests.durable.kill.nursery import Nursery
from tests.durable.kill.storm import prepare
from tests.durable.stores import databases

DATABASES = ["sqlite_wal", *databases.SERVER_KINDS]


@pytest.fixture(params=DATABASES)
def engine(request, tmp_path):
    """Give an engine on a new database with all tables."""
    with getattr(databases, request.param)(tmp_path) as engine:
        prepare(engine)
        yield engine


@pytest.fixture
def url(engine):
    """Return the database's address."""
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def nursery(engine, tmp_path):
    """Give a nursery whose processes have ended before the database is dropped."""
    with Nursery(tmp_path / "log") as nursery:
        yield nursery
