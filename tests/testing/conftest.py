"""Fixtures for the tests of ``aldis.testing``."""

import pytest


@pytest.fixture(autouse=True)
def always_lenient(lenient):
    """Start each test with strict mode off."""
