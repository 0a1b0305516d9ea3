"""The database that the tests of ``aldis deliveries`` share."""

import pytest

from tests.cli.deliveries.support import Deliveries
from tests.durable.sql.databases import database


@pytest.fixture(params=["sqlite"])
def deliveries(request, tmp_path, monkeypatch):
    """Give a database. It is SQLite unless the test has a parameter."""
    monkeypatch.delenv("COLUMNS", raising=False)  # it would change the tables
    with database(request.param, tmp_path) as url:
        deliveries = Deliveries(url)
        yield deliveries
        deliveries.engine.dispose()
