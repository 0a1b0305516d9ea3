"""A pool with fewer connections than the worker's concurrency."""

import logging

from sqlalchemy import create_engine

from aldis.durable import Outbox
from tests.durable import support
from tests.durable.working import until, working


def test_the_worker_warns(tmp_path, caplog):
    """The worker warns if its receivers can need more connections than the pool has."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", pool_size=2, max_overflow=1)
    support.create_tables(engine)
    with caplog.at_level(logging.WARNING, "aldis"), working(Outbox(engine=engine), concurrency=4):
        until(lambda: caplog.records)
    assert [
        (
            "the engine's pool has 3 connections, but 4 receivers run at a time and each may need "
            "one for its session: use a larger pool_size, or a lower concurrency"
        )
    ] == [each.getMessage() for each in caplog.records if "pool" in each.getMessage()]
    engine.dispose()


def test_the_default_pool_is_large_enough(tmp_path, caplog):
    """There is no warning with the default pool and the default concurrency."""
    with (
        support.sqlite(tmp_path / "shop.db") as engine,
        caplog.at_level(logging.INFO, "aldis"),
        working(Outbox(engine=engine)),
    ):
        until(lambda: [each for each in caplog.records if "serves" in each.getMessage()])
    assert [] == [each.getMessage() for each in caplog.records if "pool" in each.getMessage()]
