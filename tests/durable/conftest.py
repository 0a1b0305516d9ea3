"""What the tests of durable receivers share: an outbox on a file of SQLite."""

import pytest

from aldis.durable import Outbox
from tests.durable import scenes


@pytest.fixture
def engine(tmp_path):
    """Give an engine on a file of SQLite, with the tables."""
    with scenes.sqlite(tmp_path / "shop.db") as engine:
        yield engine


@pytest.fixture
def outbox(engine):
    """Give an outbox without a session of its own."""
    return Outbox(engine=engine)
