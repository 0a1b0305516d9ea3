"""The app that the tests of ``aldis worker`` share."""

import pytest

from tests.cli.durable_shop import write_shop


@pytest.fixture
def shop(project):
    """Give a folder with the shop and its tables."""
    write_shop(project)
    return project
