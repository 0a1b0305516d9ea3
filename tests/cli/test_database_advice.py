"""The advice for database URLs and drivers."""

import pytest
from sqlalchemy import make_url

from aldis.cli._database_errors import DRIVERS, driver_advice, url_problem
from tests.cli.support import ALDIS

APPS = {
    "create_engine('postgres://h/d')": "SQLAlchemy does not know postgres://, which others write: "
    "write postgresql+psycopg://",
    "create_engine('mysql://h/d')": "this database URL uses the driver MySQLdb, which is not "
    "installed: pip install mysqlclient",
    "create_engine('shop.db')": "a database URL is one of sqlite:///shop.db, ",
    "create_engine('sqlite://shop.db').connect()": "write sqlite:///shop.db for a file",
    "create_engine('postgresql+psycopg3://h/d')": "knows no driver 'psycopg3' for postgresql",
    "create_async_engine('sqlite:///shop.db')": "create_async_engine takes an async driver: ",
}


@pytest.mark.parametrize("call", APPS)
def test_an_app_whose_database_url_is_wrong(project, call):
    """The error of the import names the driver's package or the URL to write."""
    project.write(
        "app.py",
        "from sqlalchemy import create_engine\n"
        f"from sqlalchemy.ext.asyncio import create_async_engine\nengine = {call}\n",
    )
    ended = project.run(*ALDIS, "check")
    assert (2, "") == (ended.returncode, ended.stdout)
    assert f"\n  app.py:3: engine = {call}\n" in ended.stderr
    assert APPS[call] in ended.stderr


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.scheme)
def test_each_driver_is_one_of_sqlalchemy(driver):
    """SQLAlchemy knows the name in the URL, and imports the module that aldis gives advice for."""
    dialect = make_url(f"{driver.scheme}://").get_dialect()
    try:
        found = getattr(dialect.import_dbapi(), "__name__", driver.module)
    except ModuleNotFoundError as missing:
        found = missing.name
    assert driver.module == found.partition(".")[0]
    assert f"pip install {driver.package}" in driver_advice(driver.module).replace("'", "")


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:secret@h/d",
        "postgres+psycopg2://me:secret@h/d",
        "mysql2://me:secret@h/d",
        "redis://me:secret@h/d",
        "me:secret@h/d",
        "'postgresql://me:secret@h/d'",
        "postgresql://me:secret@h:port/d",
    ],
)
def test_the_advice_shows_no_password(url):
    """The messages show only the beginning of a URL."""
    assert "secret" not in url_problem(url)


def test_the_installed_driver_is_recommended():
    """The advice names a driver that is installed, for the database of the URL."""
    assert driver_advice("MySQLdb", "mysql").endswith(
        "pip install mysqlclient, or write mysql+pymysql://, whose driver is installed"
    )
    assert driver_advice("psycopg2", "postgresql").endswith(
        "pip install psycopg2-binary, or write postgresql+psycopg://, whose driver is installed"
    )
