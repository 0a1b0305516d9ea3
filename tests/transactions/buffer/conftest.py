"""Shared fixtures: a writer, and a transaction."""

import pytest

from tests.transactions.tables import Scribe


@pytest.fixture
def scribe(engine):
    """Provide a writer."""
    return Scribe(engine)


@pytest.fixture
def active(session):
    """Provide a session in a transaction."""
    session.begin()
    return session
