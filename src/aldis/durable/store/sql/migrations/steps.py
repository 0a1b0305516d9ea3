"""The operations of a revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from alembic.operations import Operations
from sqlalchemy import Column, inspect, text

__all__ = ["SchemaStep"]

#: On MariaDB, the server's defaults may lack transactions or Unicode.
_OPTIONS: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """The operations of one revision.

    They skip what exists already. MariaDB commits each statement by itself, so an interrupted
    revision finds its own first tables when it runs again.

    Attributes:
        op: Alembic's operations.
        prefix: The start of the tables' names.
        schema: The schema of the tables, or ``None``.
    """

    op: Operations
    prefix: str
    schema: str | None

    @property
    def dialect(self) -> str:
        """The kind of the database; that of MariaDB is ``"mysql"``."""
        name = self.op.get_context().dialect.name
        return "mysql" if name == "mariadb" else name

    def create_table(self, name: str, *columns: Column[Any]) -> None:
        """Create a table, unless it exists. ``name`` has no prefix."""
        if not self._has_table(name):
            self.op.create_table(self.prefix + name, *columns, schema=self.schema, **_OPTIONS)

    def add_column(self, table: str, column: Column[Any]) -> None:
        """Add a column to a table, unless it exists. ``table`` has no prefix."""
        if not self._has_column(table, column.name):
            self.op.add_column(self.prefix + table, column, schema=self.schema)

    def create_index(
        self, table: str, name: str, columns: Sequence[str], *, where: str | None = None
    ) -> None:
        """Create an index, unless it exists.

        Args:
            table: The table, without the prefix.
            name: How the name of the index ends.
            columns: The names of its columns.
            where: The condition of a partial index, on PostgreSQL only.
        """
        full_name = f"ix_{self.prefix}{table}_{name}"
        if not self._has_index(table, full_name):
            partial = None if where is None else text(where)
            self.op.create_index(
                full_name,
                self.prefix + table,
                list(columns),
                schema=self.schema,
                postgresql_where=partial,
            )

    def _has_table(self, name: str) -> bool:
        if self.op.get_context().as_sql:
            return False
        return inspect(self.op.get_bind()).has_table(self.prefix + name, schema=self.schema)

    def _has_column(self, table: str, column: str) -> bool:
        if self.op.get_context().as_sql:
            return False
        columns = inspect(self.op.get_bind()).get_columns(self.prefix + table, schema=self.schema)
        return any(each["name"] == column for each in columns)

    def _has_index(self, table: str, name: str) -> bool:
        if self.op.get_context().as_sql:
            return False
        inspector = inspect(self.op.get_bind())
        return inspector.has_index(self.prefix + table, name, schema=self.schema)
