"""What a revision works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from alembic.operations import Operations
from sqlalchemy import Column, inspect, text

__all__ = ["Step"]

#: Whatever the server's and the database's defaults are: rows roll back, and any text fits.
_OPTIONS: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


@dataclass(frozen=True, slots=True)
class Step:
    """One revision's view of the database.

    What is there already is left alone: MariaDB commits each statement by itself, so a revision
    that was interrupted begins anew among its own first tables.

    Attributes:
        op: Alembic's operations.
        prefix: What the names of the tables begin with.
        schema: Where they are, or ``None``.
    """

    op: Operations
    prefix: str
    schema: str | None

    @property
    def dialect(self) -> str:
        """The database's kind; MariaDB is ``"mysql"``."""
        name = self.op.get_context().dialect.name
        return "mysql" if name == "mariadb" else name

    def create_table(self, name: str, *columns: Column[Any]) -> None:
        """Create a table, its name without the prefix."""
        if not self._has_table(name):
            self.op.create_table(self.prefix + name, *columns, schema=self.schema, **_OPTIONS)

    def create_index(
        self, table: str, name: str, columns: Sequence[str], *, where: str | None = None
    ) -> None:
        """Create an index, partial where PostgreSQL is.

        Args:
            table: Of which table, without the prefix.
            name: What its name ends with.
            columns: The names of its columns.
            where: Which rows it has on PostgreSQL; all of them elsewhere.
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

    def _has_index(self, table: str, name: str) -> bool:
        if self.op.get_context().as_sql:
            return False
        inspector = inspect(self.op.get_bind())
        return inspector.has_index(self.prefix + table, name, schema=self.schema)
