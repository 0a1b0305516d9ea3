"""create the tables."""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, SmallInteger, String, Text, text
from sqlalchemy.dialects.mysql import LONGTEXT, VARCHAR

from aldis.durable.store.sql.migrations.steps import SchemaStep

revision = "0001"
down_revision = None

# A revision is a record of what was: nothing here is imported from where it may change.
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
_NAME: Final = String(190).with_variant(
    VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_LONG: Final = Text().with_variant(LONGTEXT(), "mysql", "mariadb")
_NOW: Final = {
    "postgresql": "(extract(epoch from statement_timestamp()) * 1000000)::bigint",
    "mysql": "(timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)))",
    "sqlite": "(cast((julianday('now') - 2440587.5) * 86400000000.0 as integer))",
}


def upgrade(step: SchemaStep) -> None:
    """Create them."""
    step.create_table(
        "deliveries",
        Column("id", _NUMBER, primary_key=True, autoincrement=True),
        Column("emission_id", String(32), nullable=False),
        Column("receiver", _NAME, nullable=False),
        Column("signal", _NAME, nullable=False),
        Column("payload", _LONG, nullable=False),
        Column("order_key", _NAME),
        Column("state", SmallInteger, nullable=False, server_default="0"),
        _time(step, "created_at"),
        _time(step, "due_at"),
        Column("finished_at", BigInteger),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("lost", Integer, nullable=False, server_default="0"),
        Column("worker", String(32)),
        Column("reason", _LONG),
        Column("traceback", _LONG),
        Column("cause", String(223)),
        Column("traceparent", String(255)),
    )
    step.create_index(
        "deliveries", "ready", ("state", "receiver", "due_at", "id"), where="state IN (0, 6)"
    )
    step.create_index(
        "deliveries",
        "chain",
        ("receiver", "order_key", "state", "id"),
        where="order_key IS NOT NULL AND state IN (0, 1, 3, 4, 6)",
    )
    step.create_index("deliveries", "worker", ("worker",), where="state = 1")
    step.create_index("deliveries", "ended", ("state", "finished_at"), where="state IN (2, 5, 3)")
    step.create_table(
        "workers",
        Column("id", String(32), primary_key=True),
        Column("name", String(255), nullable=False),
        _time(step, "started_at"),
        Column("expires_at", BigInteger, nullable=False),
    )
    step.create_table(
        "paused",
        Column("receiver", _NAME, primary_key=True),
        _time(step, "since"),
    )


def _time(step: SchemaStep, name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default=text(_NOW[step.dialect]))
