"""The systems in the benchmark, with their default settings and with their best settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ENQUEUE: Final = "enqueue"
TOGETHER: Final = "together"
DRAIN: Final = "drain"
DEEP: Final = "deep"
LATENCY: Final = "latency"
IDLE: Final = "idle"
CASES: Final = (ENQUEUE, TOGETHER, DRAIN, DEEP, LATENCY, IDLE)

POSTGRESQL: Final = "PostgreSQL"
MARIADB: Final = "MariaDB"
SQLITE: Final = "SQLite"
REDIS: Final = "Redis"


@dataclass(frozen=True, slots=True)
class Contender:
    """One system, and one way of using it.

    Attributes:
        key: Its name in data and on the command line.
        title: Its name in the report.
        system: The file in :mod:`benchmarks.durable.systems`.
        service: The service in which it keeps waiting orders.
        cases: The cases in which it is measured.
        settings: The arguments of its constructor.
        environment: Environment variables of its processes.
        note: A remark about its figures for the report.
    """

    key: str
    title: str
    system: str
    service: str
    cases: frozenset[str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


_WRITES: Final = {ENQUEUE, TOGETHER}
_WORKS: Final = {DRAIN, LATENCY, IDLE}
_OF_REDIS: Final = (
    "What Redis was handed outlives its crash only as far as `appendonly` has it; it is in no "
    "transaction of the app's"
)


def _peer(  # noqa: PLR0913 - a row of a table
    key: str,
    title: str,
    service: str,
    best: str,
    *,
    settings: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    writes: Iterable[str] = (ENQUEUE,),
    note: str = "",
) -> tuple[Contender, Contender]:
    """Return a peer twice: with its defaults, and at its best. Only the latter drains deep."""
    return (
        Contender(key, title, key, service, frozenset(_WORKS), note=note),
        Contender(
            f"{key}-best",
            f"{title}, {best}",
            key,
            service,
            frozenset({*_WORKS, DEEP, *writes}),
            settings,
            environment or {},
            note,
        ),
    )


def _bare(
    key: str, title: str, system: str, service: str, cases: set[str], **settings: Any
) -> Contender:
    return Contender(key, title, system, service, frozenset(cases), settings)


def _aldis(service: str, cases: set[str]) -> tuple[Contender, ...]:
    """Return aldis on one database: its receivers count, write too, or run in the order of keys."""
    key = f"aldis-{service.lower()}"
    title = f"aldis, {service}"
    return (
        Contender(key, title, "aldis", service, frozenset(cases)),
        Contender(
            f"{key}-session",
            f"{title}, through `session`",
            "aldis",
            service,
            frozenset({DRAIN, DEEP} & cases),
            {"effect": True},
        ),
        Contender(
            f"{key}-keyed",
            f"{title}, in the order of 10 keys",
            "aldis",
            service,
            frozenset({DRAIN} & cases),
            {"keys": 10},
        ),
    )


PEERS: Final = (
    *_peer(
        "procrastinate",
        "Procrastinate",
        POSTGRESQL,
        "concurrency 30, delete_jobs",
        settings={"concurrency": 30, "delete_jobs": "always"},
        writes=_WRITES,
    ),
    *_peer(
        "pgqueuer",
        "PgQueuer",
        POSTGRESQL,
        "batch 200, uvloop",
        settings={"batch_size": 200, "uvloop": True},
        writes=_WRITES,
    ),
    Contender(
        "pgqueuer-unsynchronised",
        "PgQueuer, batch 200, uvloop, synchronous_commit off",
        "pgqueuer",
        POSTGRESQL,
        frozenset({DRAIN, DEEP}),
        {"batch_size": 200, "uvloop": True, "synchronous_commit": "off"},
        note="It is off in its worker, as aldis's has it for all but what `session` commits",
    ),
    *_peer(
        "celery",
        "Celery",
        REDIS,
        "solo, prefetch 200",
        settings={"pool": "solo", "prefetch": 200},
        note=_OF_REDIS,
    ),
    *_peer(
        "dramatiq",
        "Dramatiq",
        REDIS,
        "1 thread, queue_prefetch 200",
        settings={"threads": 1},
        environment={"dramatiq_queue_prefetch": "200"},
        note=_OF_REDIS,
    ),
    *_peer(
        "huey",
        "Huey",
        SQLITE,
        "polling every 5 ms",
        settings={"poll_s": 0.005},
        note="A row is taken away before it runs: at most once, less than the others promise",
    ),
)

_BY_HAND: Final = {DRAIN, DEEP}
BARE: Final = (
    _bare(
        "bare-postgresql",
        "by hand, psycopg, a commit a row",
        "bare_postgresql",
        POSTGRESQL,
        {*_WRITES, *_BY_HAND},
    ),
    _bare(
        "bare-postgresql-100",
        "by hand, psycopg, a commit per 100, no effect",
        "bare_postgresql",
        POSTGRESQL,
        _BY_HAND,
        batch=100,
        effect=False,
    ),
    _bare(
        "bare-postgresql-core",
        "by hand, SQLAlchemy Core, PostgreSQL",
        "bare_sqlalchemy",
        POSTGRESQL,
        _WRITES,
        through="core",
    ),
    _bare(
        "bare-postgresql-session",
        "by hand, SQLAlchemy Session, PostgreSQL",
        "bare_sqlalchemy",
        POSTGRESQL,
        {*_WRITES, DRAIN},
        through="session",
    ),
    _bare(
        "bare-sqlite",
        "by hand, sqlite3, a commit a row",
        "bare_sqlite",
        SQLITE,
        {*_WRITES, *_BY_HAND},
    ),
    _bare(
        "bare-sqlite-100",
        "by hand, sqlite3, a commit per 100, no effect",
        "bare_sqlite",
        SQLITE,
        _BY_HAND,
        batch=100,
        effect=False,
    ),
    _bare(
        "bare-sqlite-core",
        "by hand, SQLAlchemy Core, SQLite",
        "bare_sqlalchemy",
        SQLITE,
        _WRITES,
        through="core",
    ),
    _bare(
        "bare-sqlite-session",
        "by hand, SQLAlchemy Session, SQLite",
        "bare_sqlalchemy",
        SQLITE,
        {*_WRITES, DRAIN},
        through="session",
    ),
    _bare(
        "bare-mariadb-session",
        "by hand, SQLAlchemy Session, MariaDB",
        "bare_sqlalchemy",
        MARIADB,
        {ENQUEUE, DRAIN},
        through="session",
    ),
)

ALDIS: Final = (
    *_aldis(POSTGRESQL, set(CASES)),
    *_aldis(SQLITE, set(CASES)),
    *_aldis(MARIADB, {ENQUEUE, DRAIN, LATENCY, IDLE}),
)

ALL: Final = (*ALDIS, *PEERS, *BARE)
