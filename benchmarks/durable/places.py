"""The places in which systems keep waiting orders. Each turn gets a new place.

The servers are on this machine, unless the environment names others.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from benchmarks.durable.contenders import MARIADB, POSTGRESQL, REDIS, SQLITE

if TYPE_CHECKING:
    import sqlalchemy

_URLS: Final = {
    POSTGRESQL: ("ALDIS_BENCH_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    MARIADB: ("ALDIS_BENCH_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/test"),
    REDIS: ("ALDIS_BENCH_REDIS", "redis://127.0.0.1:6379"),
}
#: The databases of Redis by default. 0 is left out, because other programs use it.
_REDIS_DATABASES: Final = range(15, 0, -1)
_OWNER: Final = "aldis-benchmark"


class AbsentError(Exception):
    """A service is missing, or its client is not installed."""


def url_of(service: str) -> str:
    """Return the URL of the server."""
    variable, default = _URLS[service]
    return os.environ.get(variable, default)


def describe(service: str) -> str:
    """Return the version of the service, and the settings that decide the cost of a commit.

    Raises:
        AbsentError: The service is missing.
    """
    try:
        return _DESCRIPTIONS[service]()
    except Exception as error:
        raise AbsentError(f"{service}: {type(error).__name__}: {error}") from error


@contextmanager
def place(service: str) -> Iterator[str]:
    """Make an empty place, yield its URL or its file, and remove it at the end."""
    with _PLACES[service]() as made:
        yield made


def prepared_engine(place: str) -> sqlalchemy.Engine:
    """Return an engine on a place; SQLite in WAL mode with ``synchronous = FULL``."""
    import sqlalchemy as sa  # noqa: PLC0415 - other places do not need it

    if "://" not in place:
        engine = sa.create_engine(f"sqlite:///{place}")

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")

        return engine
    return sa.create_engine(place.replace("postgresql://", "postgresql+psycopg://"))


def _describe_postgresql() -> str:
    import psycopg  # noqa: PLC0415 - may be missing

    with psycopg.connect(url_of(POSTGRESQL), connect_timeout=3) as connection:
        names = ("server_version", "fsync", "synchronous_commit", "autovacuum")
        settings = [connection.execute(f"SHOW {name}").fetchone() for name in names]
    version, *switches = [row[0] if row else "" for row in settings]
    pairs = zip(names[1:], switches, strict=True)
    return f"{version.split()[0]}, " + ", ".join(f"{name} {value}" for name, value in pairs)


def _describe_mariadb() -> str:
    import sqlalchemy as sa  # noqa: PLC0415 - may be missing

    engine = sa.create_engine(url_of(MARIADB), connect_args={"connect_timeout": 3})
    with engine.connect() as connection:
        version, flush = connection.execute(
            sa.text("SELECT version(), @@innodb_flush_log_at_trx_commit")
        ).one()
    engine.dispose()
    return f"{version.split('-')[0]}, innodb_flush_log_at_trx_commit {flush}"


def _describe_redis() -> str:
    import redis  # noqa: PLC0415 - may be missing

    client: Any = redis.Redis.from_url(url_of(REDIS), socket_connect_timeout=3)
    with client:
        version = client.info("server")["redis_version"]
        appending = client.info("persistence")["aof_enabled"]
    return f"{version}, appendonly {'on' if appending else 'off'}"


def _describe_sqlite() -> str:
    import sqlite3  # noqa: PLC0415 - some Pythons are built without it

    return f"{sqlite3.sqlite_version}, WAL, synchronous FULL"


@contextmanager
def _postgresql() -> Iterator[str]:
    import psycopg  # noqa: PLC0415 - may be missing

    server = url_of(POSTGRESQL)
    name = f"aldis_bench_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield server.rpartition("/")[0] + f"/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _mariadb() -> Iterator[str]:
    import sqlalchemy as sa  # noqa: PLC0415 - may be missing

    server = url_of(MARIADB)
    name = f"aldis_bench_{uuid4().hex[:12]}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
    try:
        yield server.rpartition("/")[0] + f"/{name}"
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name}"))


@contextmanager
def _redis() -> Iterator[str]:
    import redis  # noqa: PLC0415 - may be missing

    server = url_of(REDIS)
    token = uuid4().hex
    for number in _REDIS_DATABASES:
        client: Any = redis.Redis.from_url(f"{server}/{number}")
        if client.dbsize() == 0 and client.set(_OWNER, token, nx=True):
            break
        client.close()
    else:
        raise AbsentError("Redis: there is no empty database")
    try:
        yield f"{server}/{number}"
    finally:
        with client:
            if client.get(_OWNER) == token.encode():  # only the keys of the benchmark
                client.flushdb()


@contextmanager
def _sqlite() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="aldis-bench-"))
    try:
        yield str(folder / "waiting.sqlite")
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)


_PLACES: Final = {
    POSTGRESQL: _postgresql,
    MARIADB: _mariadb,
    REDIS: _redis,
    SQLITE: _sqlite,
}
_DESCRIPTIONS: Final = {
    POSTGRESQL: _describe_postgresql,
    MARIADB: _describe_mariadb,
    REDIS: _describe_redis,
    SQLITE: _describe_sqlite,
}
