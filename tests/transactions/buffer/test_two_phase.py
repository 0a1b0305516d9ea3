"""The buffer of a two-phase transaction."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from aldis.transactions import buffer_of
from tests.transactions.tables import committed


class TestTwoPhase:
    @pytest.fixture
    def session(self, engine):
        """Provide a two-phase session, if the server supports it."""
        if engine.name == "sqlite":
            pytest.skip("SQLite has no two-phase commit")
        with engine.connect() as connection:
            if connection.scalar(text("SHOW max_prepared_transactions")) == "0":
                pytest.skip("the server's max_prepared_transactions is 0")
        with Session(engine, twophase=True) as session:
            yield session

    @pytest.mark.service
    def test_prepared_and_committed(self, engine, active, scribe):
        """Rows are written before the prepare, and calls run after the commit."""
        heard = []
        active.execute(text("SELECT 1"))
        buffer_of(active).write(active, scribe, 1)
        buffer_of(active).call(active, lambda: heard.append(1))
        active.prepare()
        assert ([[1]], []) == (scribe.batches, heard)
        buffer_of(active).write(active, scribe, 2)
        active.commit()
        assert ([1], [1, 2], [2]) == (heard, committed(engine)[1], scribe.late)

    @pytest.mark.service
    def test_prepared_and_rolled_back(self, engine, active, scribe, caplog):
        """A rollback after the prepare removes everything."""
        active.execute(text("SELECT 1"))
        buffer_of(active).write(active, scribe, 1)
        active.prepare()
        active.rollback()
        assert ([], []) == (committed(engine)[1], caplog.records)
