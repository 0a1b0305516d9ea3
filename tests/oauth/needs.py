"""The packages that the tests of logins need. Without them, tests are skipped, or fail in CI."""

import os
from importlib.util import find_spec

import pytest

PACKAGES = (
    "authlib",
    "requests",
    "flask_login",
    "sqlalchemy",
    "flask_sqlalchemy",
    "quart",
    "httpx2",
)


def missing(*names):
    """Return the packages of ``names`` that are not installed."""
    return [name for name in names if find_spec(name) is None]


def skip_or_fail(reason):
    """Skip the tests. In CI, where no package may be missing, fail instead."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def need(*names):
    """Skip the tests or fail unless all of ``names`` are installed."""
    absent = missing(*names)
    if absent:
        skip_or_fail(f"not installed: {', '.join(absent)}")
