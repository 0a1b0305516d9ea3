"""The database that the tests of ``aldis deliveries`` share."""

import pytest

from tests.cli.deliveries.office import Office
from tests.durable.sql.databases import database


@pytest.fixture(params=["sqlite"])
def office(request, tmp_path):
    """Give a database, of SQLite unless a test says otherwise."""
    with database(request.param, tmp_path) as url:
        office = Office(url)
        yield office
        office.engine.dispose()
