"""Shared fixtures: an outbox on SQLite, and a receiver."""

import pytest
from sqlalchemy.orm import scoped_session, sessionmaker

from aldis.durable import Outbox, current_delivery, durable
from tests.durable import support
from tests.durable.support import order_paid, write


@pytest.fixture(params=["file", "memory"])
def engine(request, tmp_path):
    """Provide an engine on SQLite, on a file and in memory."""
    where = support.sqlite(tmp_path / "shop.db") if request.param == "file" else support.in_memory()
    with where as engine:
        yield engine


@pytest.fixture
def session(engine):
    """Provide a scoped session."""
    session = scoped_session(sessionmaker(engine))
    yield session
    session.remove()


@pytest.fixture
def outbox(session):
    """Provide an outbox with the session."""
    return Outbox(session)


@pytest.fixture
def receipt(aldis_clean):
    """Provide a receiver that writes its arguments through its session."""

    @order_paid.connect
    @durable("billing.receipt")
    def receipt(sender, *, order_id, **extra):
        write(current_delivery().session, f"{sender} {order_id}")

    return receipt
