"""What the tests of logins need besides aldis: without it they skip at home and fail in CI."""

import os
from importlib.util import find_spec

import pytest

PACKAGES = ("authlib", "requests", "flask_login", "sqlalchemy", "flask_sqlalchemy")


def missing(*names):
    """Return those of ``names`` that are not installed."""
    return [name for name in names if find_spec(name) is None]


def do_without(reason):
    """Skip, or fail in CI: there, nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def need(*names):
    """Go on only where all of ``names`` are installed."""
    absent = missing(*names)
    if absent:
        do_without(f"not installed: {', '.join(absent)}")
