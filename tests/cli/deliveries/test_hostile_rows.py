"""Commands show any row of the tables without a traceback and without an escape sequence."""

import json
import re
import sqlite3
import sys
from contextlib import closing
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from aldis.cli import main
from aldis.durable.store.sql.migrate import upgrade

ROW = {
    "emission_id": "0" * 32,
    "receiver": "billing.receipt",
    "signal": "order_paid",
    "payload": '{"sender":"harbour","payload":{"order_id":7}}',
    "state": 3,
    "created_at": 0,
    "due_at": 0,
    "attempts": 0,
    "lost": 0,
}
WORKER = {"id": "1" * 32, "name": "quay-1", "started_at": 0, "expires_at": 0}

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Raw:
    """Bytes that SQLite stores as text."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"Raw({self.value!r})"


texts = st.one_of(
    st.sampled_from(
        [
            "",
            "\0",
            "\x1b[2J\x1b]0;title\x07",
            "\u202eevil\u2066",
            "two\nlines\r\x85\u2028",
            "x" * 100_000,
            "\ud7ff\U0010ffff",
            "[red]rich[/red] \\[",
            "NaN",
        ]
    ),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.binary(max_size=8).map(Raw),
    st.sampled_from([b"\xff", b"\xed\xa0\x80", b"a\xffb" * 1000]).map(Raw),
)
numbers = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, 2**53, 2**62, 2**63 - 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)
anything = texts | numbers | st.binary(max_size=8)
payloads = st.one_of(
    st.sampled_from(
        [
            "[" * 1_000 + "]" * 1_000,
            "[" * 300 + "]" * 300,
            "[" * 100_000,
            '{"a":' * 5_000 + "1" + "}" * 5_000,
            '{"a": NaN, "b": [Infinity, -Infinity]}',
            '{"a": 1e999}',
            "9" * 5_000,
            "1." + "9" * 5_000,
            '"\\ud800"',
            '{"\\u001b[2J": "\\u202e"}',
            '{"a": 1, "a": 2}',
            "null",
            "NaN",
            "",
        ]
    ),
    anything,
)
states = st.sampled_from([0, 1, 2, 3, 4, 5, 6]) | st.sampled_from([7, 99, -1, "dead", b"3", 3.5])
nullable = anything | st.none()
times = st.just(0) | anything

rows = st.fixed_dictionaries(
    {},
    optional={
        "emission_id": anything,
        "receiver": anything,
        "signal": anything,
        "payload": payloads,
        "order_key": nullable,
        "state": states,
        "created_at": times,
        "due_at": times,
        "finished_at": times | st.none(),
        "attempts": anything,
        "lost": anything,
        "worker": st.just(WORKER["id"]) | nullable,
        "reason": nullable,
        "traceback": nullable,
        "cause": st.just(f"{'0' * 32}:billing.receipt") | nullable,
        "traceparent": nullable,
    },
)
workers = st.fixed_dictionaries(
    {}, optional={"id": anything, "name": anything, "started_at": times, "expires_at": times}
)
tables = st.fixed_dictionaries(
    {
        "deliveries": st.lists(rows, min_size=1, max_size=4),
        "workers": st.lists(workers, max_size=2),
        "paused": st.lists(anything, max_size=2),
    }
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Give a file of SQLite with the tables."""
    path = tmp_path_factory.mktemp("hostile") / "shop.db"
    engine = create_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


def insert(connection, table, row):
    """Insert a row without a check."""
    marks = ["CAST(? AS TEXT)" if isinstance(each, Raw) else "?" for each in row.values()]
    values = [each.value if isinstance(each, Raw) else each for each in row.values()]
    into = f"INSERT OR IGNORE INTO aldis_{table} ({', '.join(row)})"
    connection.execute(f"{into} VALUES ({', '.join(marks)})", values)


def fill(path, found):
    """Replace all rows of the tables with these."""
    with closing(sqlite3.connect(path)) as connection:
        for table in ("deliveries", "workers", "paused"):
            connection.execute(f"DELETE FROM aldis_{table}")  # noqa: S608 - the names come from this test
        for number, row in enumerate(found["deliveries"], 1):
            insert(connection, "deliveries", {"id": number, **ROW, **row})
        for row in found.get("workers", ()):
            insert(connection, "workers", {**WORKER, **row})
        for receiver in found.get("paused", ()):
            insert(connection, "paused", {"receiver": receiver, "since": 0})
        connection.commit()
        return [number for (number,) in connection.execute("SELECT id FROM aldis_deliveries")]


def run(path, *command, terminal):
    """Run a command in this process, and return its exit code and both outputs."""
    arguments = ["aldis", *command, "--url", f"sqlite:///{path}"]
    with CliRunner().isolation() as (out, err, _), patch.object(sys, "argv", arguments):
        sys.stdout.isatty = lambda: terminal
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        return code, out.getvalue().decode(), err.getvalue().decode()


def refuse(constant):
    """Refuse JSON that only Python reads."""
    raise AssertionError(constant)


def check(path, *command, codes=(0,)):
    """Run a command with text and with JSON output. Only its own escape sequences are printed."""
    for terminal in (False, True):
        code, out, err = run(path, *command, terminal=terminal)
        assert code in codes, (command, code, err)
        assert "Traceback" not in err
        shown = ESCAPES.sub("", out + err) if terminal else out + err
        assert all(line.isprintable() for line in shown.split("\n")), (command, shown)
    code, out, err = run(path, *command, "--json", terminal=False)
    assert code in codes, (command, code, err)
    if out:
        assert out.isascii()
        json.loads(out, parse_constant=refuse)


#: Rows that once broke a command, and extreme rows.
KNOWN = {
    "nested 1,000 deep": {"deliveries": [{"payload": "[" * 1_000 + "]" * 1_000}]},
    "nested and not closed": {"deliveries": [{"payload": "[" * 100_000}]},
    "NaN": {"deliveries": [{"payload": '{"a": NaN}'}]},
    "1e999": {"deliveries": [{"payload": '{"a": [1e999]}'}]},
    "an infinite age": {"deliveries": [{"state": 0, "due_at": -1e999}]},
    "bytes that are not UTF-8": {
        "deliveries": [{"reason": Raw(b"\xff")}, {"receiver": Raw(b"\xff"), "state": 0}],
        "paused": [Raw(b"\xff")],
    },
    "an unknown state": {"deliveries": [{"state": 99}, {"state": "dead"}]},
    "escape sequences": {
        "deliveries": [
            dict.fromkeys(("receiver", "signal", "reason", "payload", "cause"), "\x1b[2J\u202e"),
            {"state": 0, "receiver": "\x1b[2J", "reason": "\x1b[2J"},
            {"state": 1, "worker": WORKER["id"], "traceback": "a\n\x1b[2J\nb"},
        ],
        "workers": [{"name": "\x1b[2J"}],
        "paused": ["\x1b[2J"],
    },
    "a worker with impossible times": {
        "deliveries": [{"state": 1, "worker": WORKER["id"]}],
        "workers": [{"name": b"\xff", "started_at": "x", "expires_at": 9e999}],
        "paused": [b"\xff", "a"],
    },
    "a long name": {"deliveries": [{"receiver": "x" * 20_000, "reason": "y" * 100_000}, {}]},
}
COMMANDS = (
    ("pending",),
    ("running",),
    ("dead",),
    ("stats",),
    ("replay", "--all", "--dry-run"),
    ("discard", "--all", "--dry-run"),
    ("discard", "--all", "--waiting", "--yes"),
    ("replay", "--all", "--yes"),
    ("prune", "--older-than", "1s", "--yes"),
)


def check_show(path, found, number):
    """Check the command that shows one delivery."""
    known = found["deliveries"][number - 1].get("state", 3) in range(7)
    check(path, "deliveries", "show", str(number), codes=(0,) if known else (2,))


@pytest.mark.parametrize("found", KNOWN.values(), ids=KNOWN)
def test_extreme_rows_can_be_shown(path, found):
    """Each command succeeds on extreme rows."""
    for number in fill(path, found):
        check_show(path, found, number)
    for command in COMMANDS:
        check(path, "deliveries", *command)


@pytest.mark.slow
@settings(max_examples=40)
@given(found=tables, command=st.sampled_from(COMMANDS))
def test_any_row_can_be_shown(path, found, command):
    """A command succeeds on any rows and prints text or JSON."""
    check_show(path, found, fill(path, found)[0])
    check(path, "deliveries", *command)
