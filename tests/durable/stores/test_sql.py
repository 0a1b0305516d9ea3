"""The store in an SQL database."""

import pytest

from aldis.testing.store import StoreSuite


class TestSql(StoreSuite):
    """The store keeps its promises in SQLite, PostgreSQL and MariaDB."""

    @pytest.fixture
    def store(self, sql_store):
        """Return an empty store."""
        return sql_store
