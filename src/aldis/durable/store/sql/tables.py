"""The tables of an outbox.

A time is the number of microseconds since 1970 in UTC, by the database's own clock. Every database
compares and adds whole numbers in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from re import fullmatch
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UnaryExpression,
    literal_column,
)
from sqlalchemy.dialects.mysql import LONGTEXT, VARCHAR
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from aldis.durable.types import NAME_LENGTH, OVER, UNFINISHED, WAITING, State

__all__ = [
    "BATCH",
    "MICRO",
    "UNTRANSLATED",
    "Tables",
    "among",
    "microseconds",
    "now",
    "tables",
    "unindexed",
]

#: How many rows one statement changes at most.
BATCH: Final = 500

#: The options of a statement that runs on a connection of the application. The outbox's tables are
#: in one schema, although the application may have one for each tenant.
UNTRANSLATED: Final[dict[str, Any]] = {"schema_translate_map": None}

#: Microseconds in a second.
MICRO: Final = 1_000_000

#: The type of ids. SQLite generates ids only in an INTEGER column.
_Number = BigInteger().with_variant(Integer(), "sqlite")
#: On MariaDB, other collations treat "Receipt" and "receipt" as equal.
_Name = String(NAME_LENGTH).with_variant(
    VARCHAR(NAME_LENGTH, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_Long = Text().with_variant(LONGTEXT(), "mysql", "mariadb")

#: The tables without the prefix, in the order of :class:`Tables`.
_NAMES: Final = ("deliveries", "workers", "paused", "audit", "receivers")

#: On MariaDB, the server's defaults may lack transactions or Unicode.
_OPTIONS: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


class now(FunctionElement[int]):  # noqa: N801 - SQL, in lower case like SQLAlchemy's own functions
    """The database's time at the start of the statement."""

    name = "now"
    inherit_cache: bool = True
    type: BigInteger = BigInteger()


@compiles(now, "postgresql")
def _now_postgresql(_element: now, _compiler: Any, **_: Any) -> str:
    # now() is the start of the transaction, and an index cannot serve clock_timestamp().
    return "(extract(epoch from statement_timestamp()) * 1000000)::bigint"


@compiles(now, "mysql")
@compiles(now, "mariadb")
def _now_mysql(_element: now, _compiler: Any, **_: Any) -> str:
    return "(timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)))"


@compiles(now, "sqlite")
def _now_sqlite(_element: now, _compiler: Any, **_: Any) -> str:
    return "(cast((julianday('now') - 2440587.5) * 86400000000.0 as integer))"


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return ``column`` for a condition for which SQLite must not choose an index.

    SQLite has few statistics. It takes the index of a condition that nearly all rows meet, and
    sorts them, instead of reading the last rows.
    """
    return _Unindexed(column, type_=column.type)


class _Unindexed(UnaryExpression[Any]):
    inherit_cache = True


@compiles(_Unindexed)
def _unindexed(element: _Unindexed, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.element, **options))


@compiles(_Unindexed, "sqlite")
def _unindexed_sqlite(element: _Unindexed, compiler: Any, **options: Any) -> str:
    return f"+{compiler.process(element.element, **options)}"


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables with one prefix, in one ``MetaData``."""

    prefix: str
    deliveries: Table
    workers: Table
    paused: Table
    audit: Table
    receivers: Table

    @property
    def ready_index(self) -> str:
        """The name of the index that finds due deliveries."""
        return f"ix_{self.deliveries.name}_ready"


def tables(metadata: MetaData, prefix: str = "aldis_") -> Tables:
    """Add the tables of an outbox to ``metadata``, or return them if they exist there.

    Pass the metadata of your models, and your own migrations create the tables.

    Args:
        metadata: The metadata. Its ``schema`` is the schema of the tables.
        prefix: The start of the tables' names.

    Raises:
        ValueError: A table's name cannot start with ``prefix``.
    """
    if not fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,29}", prefix):
        message = f"a prefix is up to 30 letters, digits and underscores, not {prefix!r}"
        raise ValueError(message)
    name = f"{metadata.schema}.{prefix}" if metadata.schema else prefix
    if f"{name}deliveries" in metadata.tables:
        return Tables(
            prefix,
            *(metadata.tables[f"{name}{each}"] for each in _NAMES),
        )
    return Tables(
        prefix,
        _deliveries(metadata, prefix),
        _workers(metadata, prefix),
        _paused(metadata, prefix),
        _audit(metadata, prefix),
        _receivers(metadata, prefix),
    )


def _deliveries(metadata: MetaData, prefix: str) -> Table:
    name = f"{prefix}deliveries"
    table = Table(
        name,
        metadata,
        Column("id", _Number, primary_key=True, autoincrement=True),
        Column("emission_id", String(32), nullable=False),
        Column("receiver", _Name, nullable=False),
        Column("signal", _Name, nullable=False),
        Column("payload", _Long, nullable=False),
        Column("order_key", _Name),
        Column("state", SmallInteger, nullable=False, server_default="0"),
        Column("created_at", BigInteger, nullable=False, server_default=now()),
        Column("due_at", BigInteger, nullable=False, server_default=now()),
        Column("finished_at", BigInteger),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("lost", Integer, nullable=False, server_default="0"),
        Column("worker", String(32)),
        Column("reason", _Long),
        Column("traceback", _Long),
        Column("cause", String(NAME_LENGTH + 33)),
        Column("traceparent", String(255)),
        **_OPTIONS,
    )
    state = table.c.state
    # In a partial index, completed rows cost nothing. SQLite gets full indexes, because its planner
    # ignores a partial index after ANALYZE has seen a long queue.
    Index(
        f"ix_{name}_ready",
        state,
        table.c.receiver,
        table.c.due_at,
        table.c.id,
        postgresql_where=among(state, WAITING),
    )
    Index(
        f"ix_{name}_chain",
        table.c.receiver,
        table.c.order_key,
        state,
        table.c.id,
        postgresql_where=table.c.order_key.is_not(None) & among(state, UNFINISHED),
    )
    Index(f"ix_{name}_emission", table.c.emission_id)
    Index(f"ix_{name}_worker", table.c.worker, postgresql_where=state == literal_column("1"))
    Index(
        f"ix_{name}_ended",
        state,
        table.c.finished_at,
        postgresql_where=among(state, (*OVER, State.DEAD)),
    )
    return table


def among(column: ColumnElement[int], states: Sequence[State]) -> ColumnElement[bool]:
    """Return the condition that ``column`` is one of ``states``, written into the SQL itself."""
    return column.in_([literal_column(str(int(state))) for state in states])


def microseconds(seconds: float) -> int:
    """Convert seconds to the unit of the tables."""
    return int(seconds * MICRO)


def _workers(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}workers",
        metadata,
        Column("id", String(32), primary_key=True),
        Column("name", String(255), nullable=False),
        Column("started_at", BigInteger, nullable=False, server_default=now()),
        Column("expires_at", BigInteger, nullable=False),
        **_OPTIONS,
    )


def _paused(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}paused",
        metadata,
        Column("receiver", _Name, primary_key=True),
        Column("since", BigInteger, nullable=False, server_default=now()),
        # The columns of a pause by the workers; an operator's pause has no time for a trial.
        Column("trial_at", BigInteger),
        Column("trial_by", String(32)),
        Column("trials", Integer),
        Column("failures", Integer),
        Column("reason", _Long),
        **_OPTIONS,
    )


def _receivers(metadata: MetaData, prefix: str) -> Table:
    """The receivers that workers serve."""
    return Table(
        f"{prefix}receivers",
        metadata,
        Column("receiver", _Name, primary_key=True),
        Column("seen_at", BigInteger, nullable=False, server_default=now()),
        **_OPTIONS,
    )


def _audit(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}audit",
        metadata,
        Column("id", _Number, primary_key=True, autoincrement=True),
        Column("at", BigInteger, nullable=False, server_default=now()),
        Column("user_name", String(255), nullable=False),
        Column("action", String(32), nullable=False),
        Column("target", _Long, nullable=False),
        Column("changed", BigInteger),
        Column("token", String(64), unique=True),
        **_OPTIONS,
    )
