"""What the tests of the buffer share: a writer, and a transaction."""

import pytest

from tests.transactions.tables import Scribe


@pytest.fixture
def scribe(engine):
    """Give a writer."""
    return Scribe(engine)


@pytest.fixture
def begun(session):
    """Give a session in a transaction."""
    session.begin()
    return session
