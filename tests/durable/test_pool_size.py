"""A pool that is smaller than what a worker runs at a time."""

import logging

from sqlalchemy import create_engine

from aldis.durable import Outbox
from tests.durable import scenes
from tests.durable.working import until, working


def test_the_worker_warns(tmp_path, caplog):
    """Each receiver that uses a session may want a connection: what waits too long fails."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", pool_size=2, max_overflow=1)
    scenes.create_tables(engine)
    with caplog.at_level(logging.WARNING, "aldis"), working(Outbox(engine=engine), concurrency=4):
        until(lambda: caplog.records)
    assert [
        (
            "the engine's pool has 3 connections, but 4 receivers run at a time and each may need "
            "one for its session: use a larger pool_size, or a lower concurrency"
        )
    ] == [each.getMessage() for each in caplog.records if "pool" in each.getMessage()]
    engine.dispose()


def test_a_pool_that_is_large_enough_is_not_mentioned(tmp_path, caplog):
    """The default is large enough for the default."""
    with (
        scenes.sqlite(tmp_path / "shop.db") as engine,
        caplog.at_level(logging.INFO, "aldis"),
        working(Outbox(engine=engine)),
    ):
        until(lambda: [each for each in caplog.records if "serves" in each.getMessage()])
    assert [] == [each.getMessage() for each in caplog.records if "pool" in each.getMessage()]
