"""create the audit log of the dashboard."""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, String, Text, text
from sqlalchemy.dialects.mysql import LONGTEXT

from aldis.durable.store.sql.migrations.steps import SchemaStep

revision = "0003"
down_revision = "0002"

_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
_LONG: Final = Text().with_variant(LONGTEXT(), "mysql", "mariadb")
_NOW: Final = {
    "postgresql": "(extract(epoch from statement_timestamp()) * 1000000)::bigint",
    "mysql": "(timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)))",
    "sqlite": "(cast((julianday('now') - 2440587.5) * 86400000000.0 as integer))",
}


def upgrade(step: SchemaStep) -> None:
    """Create the table."""
    step.create_table(
        "audit",
        Column("id", _NUMBER, primary_key=True, autoincrement=True),
        Column("at", BigInteger, nullable=False, server_default=text(_NOW[step.dialect])),
        Column("user_name", String(255), nullable=False),
        Column("action", String(32), nullable=False),
        Column("target", _LONG, nullable=False),
        Column("changed", BigInteger),
        Column("token", String(64), unique=True),
    )
