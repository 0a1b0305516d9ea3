"""Fixtures of the tests of the command line."""

import pytest

from tests.cli.support import SHOP, Project


@pytest.fixture
def project(tmp_path):
    """Give an empty folder of a user."""
    return Project(tmp_path)


@pytest.fixture
def shop(project):
    """Give a folder with a small Flask app in it, ``shop.py``."""
    project.write("shop.py", SHOP)
    return project
