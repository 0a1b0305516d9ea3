"""A warning before a fork that would share connections of an outbox."""

import os
import sys

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from aldis.durable import Outbox
from tests.durable import support
from tests.durable.sql import databases

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")


def fork():
    """Fork; the child ends at once."""
    if (child := os.fork()) == 0:
        os._exit(0)
    assert 0 == os.waitpid(child, 0)[1]


def warnings_of(caplog):
    """Return the warnings about forks."""
    return [message for message in caplog.messages if "this process forks" in message]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", databases.DATABASES)
def test_an_open_connection(kind, tmp_path, caplog):
    """The warning names the engine, without its password, and the remedy; it comes once."""
    with databases.engine_on(kind, tmp_path) as engine:
        support.create_tables(engine)
        outbox = Outbox(engine=engine)
        engine.dispose()
        fork()
        assert [] == warnings_of(caplog)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        fork()
        fork()
        (warning,) = warnings_of(caplog)
        assert "has an open connection; parent and child would share it" in warning
        assert "call engine.dispose() before the fork" in warning
        assert outbox.store.engine is engine


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_no_pool(tmp_path, caplog):
    """An engine that keeps no connections needs no warning."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool)
    outbox = Outbox(engine=engine)
    with engine.connect():
        pass
    fork()
    assert [] == warnings_of(caplog)
    assert sys.modules  # the outbox lives until here
    del outbox
