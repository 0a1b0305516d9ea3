"""The store in an SQL database."""

import pytest
from sqlalchemy import MetaData, update

from aldis.durable.store.sql.tables import tables
from aldis.testing.store import StoreSuite


class TestSql(StoreSuite):
    """The SQL store passes the suite on SQLite, PostgreSQL and MariaDB."""

    delay = 10.0

    @pytest.fixture
    def store(self, sql_store):
        """Return an empty store."""
        self.engine, self.prefix = sql_store.engine, sql_store.prefix
        return sql_store

    def later(self, seconds):
        """Make every stored time older."""
        ours = tables(MetaData(), self.prefix)
        with self.engine.begin() as connection:
            for table in (ours.deliveries, ours.workers):
                times = [each for each in table.c if each.name.endswith("_at")]
                older = {each.name: each - int(seconds * 1e6) for each in times}
                connection.execute(update(table).values(older))
