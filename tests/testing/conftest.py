"""What the tests of testing share."""

import pytest


@pytest.fixture(autouse=True)
def always_lenient(lenient):
    """Start each test with strict mode off."""
