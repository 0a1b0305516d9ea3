"""Errors about databases, and advice: what to install, and which URL to write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final, NamedTuple

import click

from aldis.errors import AldisError

__all__ = ["DatabaseError", "database_advice", "database_errors", "driver_advice", "url_problem"]


class DatabaseError(click.ClickException):
    """The database is unavailable or rejected the operation."""

    exit_code = 2


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise each error of aldis in a ``with`` block as a :class:`DatabaseError`, in one line."""
    try:
        yield
    except (AldisError, ValueError) as error:
        raise DatabaseError(str(error)) from error


class Driver(NamedTuple):
    """A driver of a database.

    Attributes:
        module: The module that SQLAlchemy imports.
        package: The name for pip.
        database: The database system in a URL.
        name: The driver in a URL, after the plus sign.
    """

    module: str
    package: str
    database: str
    name: str

    @property
    def scheme(self) -> str:
        """The beginning of a URL up to the colon."""
        return f"{self.database}+{self.name}"


#: The drivers that SQLAlchemy knows, the recommended one of each database first.
DRIVERS: Final = (
    Driver("psycopg", "psycopg[binary]", "postgresql", "psycopg"),
    Driver("psycopg2", "psycopg2-binary", "postgresql", "psycopg2"),
    Driver("asyncpg", "asyncpg", "postgresql", "asyncpg"),
    Driver("pg8000", "pg8000", "postgresql", "pg8000"),
    Driver("pymysql", "PyMySQL", "mariadb", "pymysql"),
    Driver("MySQLdb", "mysqlclient", "mariadb", "mysqldb"),
    Driver("mariadb", "mariadb", "mariadb", "mariadbconnector"),
    Driver("mysql", "mysql-connector-python", "mariadb", "mysqlconnector"),
    Driver("asyncmy", "asyncmy", "mariadb", "asyncmy"),
    Driver("aiomysql", "aiomysql", "mariadb", "aiomysql"),
    Driver("cymysql", "cymysql", "mariadb", "cymysql"),
    Driver("aiosqlite", "aiosqlite", "sqlite", "aiosqlite"),
)

#: Names that other programs use for the databases.
OTHER_NAMES: Final = {
    "postgres": "postgresql",
    "pgsql": "postgresql",
    "psql": "postgresql",
    "pg": "postgresql",
    "postgressql": "postgresql",
    "postgresq": "postgresql",
    "sqlite3": "sqlite",
    "maria": "mariadb",
    "mysql2": "mysql",
}

FORMS: Final = (
    "sqlite:///shop.db, postgresql+psycopg://user:password@host/database or "
    "mariadb+pymysql://user:password@host/database"
)


def driver_advice(module: str, scheme: str = "") -> str | None:
    """Return how to install the driver that has a module, or ``None`` if aldis does not know it.

    Args:
        module: The name of the module that is missing.
        scheme: The beginning of the URL up to the colon, if it is known.
    """
    driver = next((each for each in DRIVERS if each.module == module.partition(".")[0]), None)
    if driver is None:
        return None
    used = f"{scheme}:// uses the driver" if scheme else "this database URL uses the driver"
    others = [
        each.name
        for each in DRIVERS
        if each.database == driver.database and each is not driver and _is_installed(each)
    ]
    database = scheme.partition("+")[0] or driver.database
    instead = f", or write {database}+{others[0]}://, whose driver is installed" if others else ""
    return (
        f"{used} {driver.module}, which is not installed: "
        f"pip install {_quoted(driver.package)}{instead}"
    )


def _is_installed(driver: Driver) -> bool:
    try:
        return find_spec(driver.module) is not None
    except (ImportError, ValueError):
        return False


def _quoted(package: str) -> str:
    return f"'{package}'" if "[" in package else package


def url_problem(url: str) -> str:
    """Return why SQLAlchemy does not accept ``url``, and what to write; it shows no password."""
    return _form_problem(url) or _scheme_problem(url) or FORMS


def _form_problem(url: str) -> str | None:
    """Return what is wrong with the form of ``url``, before its database system matters."""
    scheme, separator, _ = url.partition("://")
    if not url.strip():
        return "the database URL is empty: is the variable set that should contain it?"
    if not separator:
        if url.startswith("sqlite:"):
            return f"the path follows three slashes: write sqlite:///{url[7:].lstrip('/')}"
        return f"the database URL has no ://; write {FORMS}"
    if scheme != scheme.strip(" '\""):
        return "the database URL begins with a blank or a quotation mark: leave it out"
    return None


def _scheme_problem(url: str) -> str:
    """Return what is wrong with the database system, the driver or the rest of ``url``."""
    scheme, _, rest = url.partition("://")
    database, _, driver = scheme.partition("+")
    known = OTHER_NAMES.get(database.lower(), database.lower())
    drivers = [each for each in DRIVERS if each.database in (known, _sibling(known))]
    if not drivers:
        return (
            f"unknown database system {scheme!r}: write sqlite, postgresql or mariadb, and the "
            "driver after a plus sign"
        )
    if known != database:
        usual = known if known == "sqlite" else _usual_scheme(drivers)
        return f"SQLAlchemy does not know {database}://, which others write: write {usual}://"
    if driver and driver not in {each.name for each in drivers}:
        names = ", ".join(f"{database}+{each.name}" for each in drivers)
        return f"SQLAlchemy knows no driver {driver!r} for {database}: write one of {names}"
    if known == "sqlite":
        return (
            f"a path after sqlite:// begins with one more slash: write sqlite:///{rest} for a file "
            f"in the working directory, or sqlite:////{rest} for an absolute path"
        )
    return (
        "SQLAlchemy cannot read the database URL. In the user name and the password, write @ as "
        f"%40, / as %2F, : as %3A and % as %25. The form is {_usual_scheme(drivers)}://"
        "user:password@host:port/database"
    )


def _sibling(database: str) -> str:
    return "mariadb" if database == "mysql" else database


def _usual_scheme(drivers: list[Driver]) -> str:
    """Return the scheme of the first driver that is installed, or of the first one."""
    return next((each for each in drivers if _is_installed(each)), drivers[0]).scheme


#: Texts in the errors of SQLAlchemy and drivers, and the advice for each.
ADVICE: Final = {
    "pq wrapper": "psycopg finds no libpq: pip install 'psycopg[binary]'",
    "Could not parse SQLAlchemy URL": f"a database URL is one of {FORMS}",
    "requires an async driver": (
        "create_async_engine takes an async driver: postgresql+asyncpg, postgresql+psycopg, "
        "mariadb+asyncmy, mariadb+aiomysql or sqlite+aiosqlite"
    ),
    "greenlet_spawn has not been called": (
        "create_engine takes a driver that is not async: postgresql+psycopg, mariadb+pymysql or "
        "sqlite; for an async driver, use create_async_engine"
    ),
    "greenlet library is required": "an async engine needs greenlet: pip install greenlet",
}


def database_advice(error: BaseException) -> str | None:
    """Return the advice for an app whose import failed because of its database, else ``None``."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError) and (advice := driver_advice(error.name or "")):
        return advice
    if match := re.search(r"Can't load plugin: sqlalchemy\.dialects:([\w.]+)", text):
        return url_problem(f"{match[1].replace('.', '+')}://")
    if match := re.search(r"Invalid SQLite URL: (sqlite\S*)", text):
        return url_problem(match[1])
    return next((advice for part, advice in ADVICE.items() if part in text), None)
