"""The tables of an outbox.

Times are microseconds since 1970 in UTC, by the database's own clock: whole numbers compare and add
in the same way on every database.
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
    literal_column,
)
from sqlalchemy.dialects.mysql import LONGTEXT, VARCHAR
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from aldis.durable.types import NAME_LENGTH, OVER, UNFINISHED, WAITING, State

__all__ = ["MICRO", "Tables", "among", "now", "tables"]

#: Seconds in the database's own unit.
MICRO: Final = 1_000_000

#: What every number of a row fits in. SQLite numbers rows only in a column of its own kind.
_Number = BigInteger().with_variant(Integer(), "sqlite")
#: MariaDB would take "Receipt" for "receipt".
_Name = String(NAME_LENGTH).with_variant(
    VARCHAR(NAME_LENGTH, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_Long = Text().with_variant(LONGTEXT(), "mysql", "mariadb")

#: Whatever the defaults of a MariaDB server and its database are: rows roll back, any text fits.
_OPTIONS: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


class now(FunctionElement[int]):  # noqa: N801 - SQL, in lower case like SQLAlchemy's own functions
    """The database's time, the same for all of a statement."""

    name = "now"
    inherit_cache = True
    type = BigInteger()


@compiles(now, "postgresql")
def _now_postgresql(_element: now, _compiler: Any, **_: Any) -> str:
    # Not now(), the start of the transaction; nor clock_timestamp(), which no index serves.
    return "(extract(epoch from statement_timestamp()) * 1000000)::bigint"


@compiles(now, "mysql")
@compiles(now, "mariadb")
def _now_mysql(_element: now, _compiler: Any, **_: Any) -> str:
    return "(timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)))"


@compiles(now, "sqlite")
def _now_sqlite(_element: now, _compiler: Any, **_: Any) -> str:
    return "(cast((julianday('now') - 2440587.5) * 86400000000.0 as integer))"


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables with one prefix, in one ``MetaData``."""

    prefix: str
    deliveries: Table
    workers: Table
    paused: Table

    @property
    def ready_index(self) -> str:
        """The name of the index by which workers find what is due."""
        return f"ix_{self.deliveries.name}_ready"


def tables(metadata: MetaData, prefix: str = "aldis_") -> Tables:
    """Add the tables of an outbox to ``metadata``, or return those that are there.

    Give it the metadata of your models, and your own migrations create them.

    Args:
        metadata: Where they are described; its ``schema`` is theirs.
        prefix: What their names begin with.

    Raises:
        ValueError: The prefix is no beginning of a table's name.
    """
    if not fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,29}", prefix):
        message = f"a prefix is up to 30 letters, digits and underscores, not {prefix!r}"
        raise ValueError(message)
    name = f"{metadata.schema}.{prefix}" if metadata.schema else prefix
    if f"{name}deliveries" in metadata.tables:
        return Tables(
            prefix,
            *(metadata.tables[f"{name}{each}"] for each in ("deliveries", "workers", "paused")),
        )
    return Tables(
        prefix, _deliveries(metadata, prefix), _workers(metadata, prefix), _paused(metadata, prefix)
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
    # Where an index can leave rows out, completed ones cost the workers nothing. Not on SQLite: its
    # planner forgets a partial index once ANALYZE has seen a long queue.
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
    Index(f"ix_{name}_worker", table.c.worker, postgresql_where=state == literal_column("1"))
    Index(
        f"ix_{name}_ended",
        state,
        table.c.finished_at,
        postgresql_where=among(state, (*OVER, State.DEAD)),
    )
    return table


def among(column: ColumnElement[int], states: Sequence[State]) -> ColumnElement[bool]:
    """Return that ``column`` is one of ``states``, which become part of the SQL."""
    return column.in_([literal_column(str(int(state))) for state in states])


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
        **_OPTIONS,
    )
