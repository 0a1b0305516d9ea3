"""Shared fixtures of the kill tests: a database, and a server that forks processes."""

import pytest

from tests.durable.kill.fork_server import ForkServer
from tests.durable.kill.stress import prepare
from tests.durable.sql import databases

DATABASES = ["sqlite_wal", *databases.SERVER_KINDS]


@pytest.fixture(params=DATABASES)
def engine(request, tmp_path):
    """Provide an engine on a new database with all tables."""
    with databases.engine_on(request.param, tmp_path) as engine:
        prepare(engine)
        yield engine


@pytest.fixture
def url(engine):
    """Return the URL of the database."""
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def fork_server(engine, tmp_path):
    """Provide a fork server whose processes end before the database is dropped."""
    with ForkServer(tmp_path / "log") as fork_server:
        yield fork_server
