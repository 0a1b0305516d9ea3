"""What the tests of testing share."""

import pytest

import aldis


@pytest.fixture(autouse=True)
def lenient():
    """Start each test with strict mode off, wherever the suite runs."""
    before = aldis.set_strict(False)
    yield
    aldis.set_strict(before)
