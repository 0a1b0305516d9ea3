# ruff: noqa: INP001 - loaded by its name, from the source it is put into
"""A pytest plugin: makes the one table that CKAN reads when it starts."""

from __future__ import annotations

import sqlite3
from contextlib import closing


def pytest_configure() -> None:
    """Make the database that ckan.ini names, before CKAN's own plugin opens it."""
    with closing(sqlite3.connect("ckan.db")) as database:
        database.execute("CREATE TABLE system_info (id INTEGER, key TEXT, value TEXT, state TEXT)")
