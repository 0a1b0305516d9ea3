"""Explains the errors of a database, by the codes that the database itself gives them.

A message is in the language of the server, and the words "does not exist" appear in messages about
tables, databases, roles and prepared statements. Only SQLite has no codes for a missing table or
column, and its messages are always in English.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from aldis.errors import OutboxError, SchemaError

__all__ = [
    "Problem",
    "code_of",
    "explained",
    "is_conflict",
    "problem_of",
    "translated",
    "was_caused_by",
]


class Problem(Enum):
    """A problem that a database reports, and that has its own remedy."""

    CONFLICT = auto()
    """Another transaction is in the way. A new transaction can succeed."""
    LOCKED = auto()
    """Another connection has held a lock for too long."""
    NO_TABLE = auto()
    """A table does not exist."""
    NO_COLUMN = auto()
    """A column does not exist."""
    READ_ONLY = auto()
    """The server or the file accepts no writes."""
    FULL = auto()
    """The disk or the file is full."""
    DENIED = auto()
    """The user lacks a privilege."""
    WRONG_LOGIN = auto()
    """The database, the user or the password of the connection is wrong."""
    LOST_STATEMENT = auto()
    """A connection pooler switched to a session without the prepared statement."""
    TOO_LARGE = auto()
    """A statement or a value is larger than the server accepts."""


#: PostgreSQL's SQLSTATEs, MariaDB's numbers (1000 and more), and SQLite's primary result codes.
_PROBLEMS: Final[dict[str | int, Problem]] = {
    code: problem
    for problem, codes in {
        Problem.CONFLICT: ("40001", "40P01", 1020, 1205, 1213),
        Problem.LOCKED: ("55P03", 5, 6),
        Problem.NO_TABLE: ("42P01", "3F000", 1146),
        Problem.NO_COLUMN: ("42703", 1054),
        Problem.READ_ONLY: ("25006", 1290, 1792, 1836, 8),
        Problem.FULL: ("53100", 1021, 1114, 13),
        Problem.DENIED: ("42501", 1142, 1143, 1227, 1370, 3),
        Problem.WRONG_LOGIN: ("3D000", "28000", "28P01", 1044, 1045, 1049, 1698),
        Problem.LOST_STATEMENT: ("26000", "42P05"),
        Problem.TOO_LARGE: ("22001", "54000", 1153, 1301, 1406, 18),
    }.items()
    for code in codes
}

_MESSAGES: Final[dict[Problem, str]] = {
    Problem.CONFLICT: "other transactions conflicted with each attempt of the outbox",
    Problem.READ_ONLY: "the outbox's database is read-only",
    Problem.FULL: "the outbox's database is full",
    Problem.DENIED: (
        "the user of the outbox's database may not do this: grant SELECT, INSERT, UPDATE and "
        "DELETE on the outbox's tables"
    ),
    Problem.WRONG_LOGIN: (
        "the outbox's database rejects the connection: correct the database, the user or the "
        "password in the engine's URL"
    ),
    Problem.LOST_STATEMENT: (
        "a connection pooler such as PgBouncer has lost a prepared statement: disable prepared "
        "statements, for psycopg with "
        "create_engine(url, connect_args={'prepare_threshold': None})"
    ),
    Problem.TOO_LARGE: "the outbox's database does not accept a value of this size",
}

_LOCKED: Final = "the outbox's database is locked by another connection"
_SQLITE_LOCKED: Final = (
    f"{_LOCKED}; SQLite has one writer at a time: keep transactions short, give the engine a "
    "longer timeout, or begin them with BEGIN IMMEDIATE (Outbox(immediate=True))"
)

#: The result code of SQLite's errors without a special code.
_SQLITE_ERROR: Final = 1


def code_of(error: BaseException) -> str | int | None:
    """Return the code of a database's error: an SQLSTATE, a number, or ``None`` if it has none."""
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, OSError):  # its number is that of the operating system
        return None
    first = original.args[0] if original is not None and original.args else None
    for number in (getattr(original, "errno", None), first):
        if isinstance(number, int):  # of MariaDB, whose SQLSTATEs are less exact
            return number
    if isinstance(first, dict):  # pg8000 passes the fields of PostgreSQL's message
        first = first.get("C")
        return first if isinstance(first, str) else None
    for name in ("sqlstate", "pgcode"):
        state = getattr(original, name, None)
        if isinstance(state, str):
            return state
    code = getattr(original, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF  # without the details of an extended code


def problem_of(error: BaseException) -> Problem | None:
    """Return the problem that a database's error reports, or ``None`` for any other error."""
    code = code_of(error)
    if code == _SQLITE_ERROR:
        said = _said(error)
        if said.startswith("no such table:"):
            return Problem.NO_TABLE
        if said.startswith("no such column:") or "has no column named" in said:
            return Problem.NO_COLUMN
    return None if code is None else _PROBLEMS.get(code)


def is_conflict(error: BaseException) -> bool:
    """Return whether a transaction failed only because of another transaction."""
    return problem_of(error) is Problem.CONFLICT


def was_caused_by(error: BaseException, problems: Container[Problem]) -> bool:
    """Return whether ``error``, or an error that led to it, reports one of ``problems``.

    A session whose flush failed raises another error at its next use. Receivers and aldis raise
    errors from those of the database.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if problem_of(current) in problems:
            return True
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return False


@contextmanager
def translated(kind: str) -> Iterator[None]:
    """Raise the database's errors as errors of the outbox, with a remedy.

    Raises:
        SchemaError: A table or a column is missing.
        OutboxError: The database refuses for another reason.
    """
    try:
        yield
    except (SQLAlchemyError, UnicodeEncodeError) as error:
        raise explained(error, kind) from error


def explained(error: Exception, kind: str) -> OutboxError:
    """Return the error of the outbox for an error of the database.

    Args:
        error: The error of SQLAlchemy or of the driver.
        kind: The kind of the database.
    """
    if isinstance(error, UnicodeEncodeError):  # from a driver that encodes text for the database
        return OutboxError(
            f"the outbox's database ({kind}) is not in UTF-8 and cannot store this: {error}"
        )
    if isinstance(error, SQLAlchemyError) and not isinstance(error, DBAPIError):
        return OutboxError(f"the outbox cannot use its database: {error}")
    problem, said = problem_of(error), _said(error)
    if problem is Problem.NO_COLUMN:
        return SchemaError(
            f"the outbox's tables are of another version of aldis ({said}): run 'aldis db check' "
            "to see the version, then 'aldis db upgrade'"
        )
    if problem is Problem.NO_TABLE:
        return SchemaError(
            f"the outbox's tables do not exist ({said}): create them with 'aldis db upgrade', or "
            "add them to your own migrations"
        )
    return OutboxError(f"{_cause(error, problem, kind)} ({said}); nothing was changed")


def _cause(error: Exception, problem: Problem | None, kind: str) -> str:
    if problem is Problem.LOCKED:
        return _SQLITE_LOCKED if kind == "sqlite" else _LOCKED
    if problem is not None:
        return _MESSAGES[problem]
    # Without a code, the driver had no answer from the server.
    is_connected = isinstance(error, DBAPIError) and not error.connection_invalidated
    if kind != "sqlite" and not (is_connected and code_of(error)):
        return f"the outbox's database ({kind}) cannot be reached"
    return f"the outbox's database ({kind}) refused"


def _said(error: BaseException) -> str:
    """Return the driver's message in one line."""
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
