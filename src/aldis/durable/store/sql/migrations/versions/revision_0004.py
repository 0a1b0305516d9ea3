"""let workers pause a receiver that fails, and record which receivers they serve."""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, String, Text, text
from sqlalchemy.dialects.mysql import LONGTEXT, VARCHAR

from aldis.durable.store.sql.migrations.steps import SchemaStep

revision = "0004"
down_revision = "0003"

# A revision is a record of the past: it imports nothing that may change.
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
    """Add the columns and the table."""
    step.add_column("paused", Column("trial_at", BigInteger))
    step.add_column("paused", Column("trial_by", String(32)))
    step.add_column("paused", Column("trials", Integer))
    step.add_column("paused", Column("failures", Integer))
    step.add_column("paused", Column("reason", _LONG))
    step.create_table(
        "receivers",
        Column("receiver", _NAME, primary_key=True),
        Column("seen_at", BigInteger, nullable=False, server_default=text(_NOW[step.dialect])),
    )
