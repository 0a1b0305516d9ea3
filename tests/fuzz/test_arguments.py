"""Every command line ends with a documented exit code and without a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert

from tests.cli.durable_shop import write_shop
from tests.cli.support import Project
from tests.fuzz.test_rows import GOOD, hostile, untyped

pytestmark = pytest.mark.slow

ROOT = str(Path(__file__).parents[2])

COMMANDS = [
    ["signals", "list"],
    ["signals", "explain"],
    ["signals", "check"],
    ["signals", "trace"],
    ["check"],
    ["db", "check"],
    ["db", "current"],
    ["db", "upgrade"],
    *(
        ["deliveries", each]
        for each in (
            *("dead", "discard", "pause", "pending", "prune"),
            *("replay", "resume", "running", "show", "stats"),
        )
    ),
]

OPTIONS = [
    *("--json", "--all", "--yes", "--dry-run", "--sql", "--wal", "--help", "--version", "--"),
    *("--receiver", "--signal", "--since", "--until", "--error", "--limit", "--older-than"),
    *("--sender", "--prefix", "--url", "--outbox", "--data", "--header", "--discarded", "-d", "-H"),
    *("--max-pending", "--max-age", "--max-dead", "-s", "-y", "-A", "--app", "--lease", "-c"),
]
VALUES = [
    *("", "0", "-1", "1", "1e400", "9" * 30, "9" * 5_000, "0x10", "12h", "9999999999999d", "-7d"),
    *("0001-01-01T00:00", "9999-12-31T23:59:59.999999+00:00", "2026-02-30", "2026-11-21T10:00Z"),
    *("order_paid", "order*", "[", "***", "a:b:c", "app", "int:5", "int:x", "str:", "GET", "/"),
    *("POST", "//", "/\\", "http://[", "a: b", "nocolon", "\u202e", "%s%n", "'; DROP TABLE x; --"),
    *("sqlite://", "sqlite:///nowhere/x.db", "nosuch://", "://", "postgresql://[", "x" * 5_000),
    *(
        "billing.receipt",
        "nobody",
        "../../etc/passwd",
        "{0.__class__}",
        "shop:",
        ":app",
        "shop:x.y",
    ),
]

# The operating system never passes an argument that contains NUL.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
arguments = st.lists(
    st.sampled_from(OPTIONS)
    | st.sampled_from(VALUES)
    | words
    # In the worst case, this names a path that does not exist. No command writes anywhere else.
    | st.sampled_from(OPTIONS).map(lambda option: f"{option}="),
    max_size=5,
)


class CommandLine:
    """Runs command lines in a folder with a shop."""

    def __init__(self, project):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.command_line"],
            cwd=project.folder,
            env=project.environment(PYTHONPATH=ROOT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, given):
        """Return the exit code and the output."""
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return a project with a shop that has durable receivers."""
    project = Project(tmp_path_factory.mktemp("shop"))
    write_shop(project)
    return project


@pytest.fixture(scope="module")
def command_line(shop):
    """Yield a process that runs command lines in the shop's folder."""
    commands = CommandLine(shop)
    code, said = commands.run(["deliveries", "stats", "--app", "shop"])
    assert (0, True) == (code, "no deliveries" in said.lower()), said
    yield commands
    commands.close()


def check(ended, given):
    """Check the exit code and the output of a command."""
    code, said = ended
    assert code in (0, 1, 2), (given, code, said)
    assert "Traceback (most recent call last)" not in said, (given, said)


@settings(max_examples=12)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@given(given=arguments)
@example(given=[])
@example(given=["9" * 30])
@example(given=["--since", "9999999999999d"])
@example(given=["--limit", "9" * 30])
def test_a_command(command_line, command, given):
    """Every command accepts any arguments or explains the problem."""
    whole = [*command, "--app", "shop", *given]
    check(command_line.run(whole), whole)


@settings(max_examples=12)
@given(given=arguments)
def test_the_worker_command(command_line, given):
    """A worker with invalid arguments or without an app exits."""
    whole = ["worker", "--app", "no_such_app", *given]
    check(command_line.run(whole), whole)


@settings(max_examples=30)
@given(given=arguments)
def test_any_command_line(command_line, given):
    """An unknown command is reported."""
    check(command_line.run(given), given)


@settings(max_examples=8)
@given(found=st.lists(hostile, min_size=1, max_size=6))
def test_a_hostile_table(shop, command_line, found):
    """The commands show rows that aldis did not write."""
    engine = create_engine(f"sqlite:///{shop.folder}/shop.db")
    with engine.begin() as connection:
        connection.execute(untyped.delete())
        for row in found:
            connection.execute(insert(untyped).values({**GOOD, **row}))
    engine.dispose()
    for command in (
        ["check"],
        *(["deliveries", each] for each in ("dead", "pending", "running", "stats")),
        ["deliveries", "show", "1"],
        ["deliveries", "pending", "--json"],
        ["deliveries", "show", "1", "--json"],
        ["deliveries", "replay", "--all", "--yes"],
        ["deliveries", "discard", "--all", "--yes"],
        ["deliveries", "prune", "--older-than", "1s", "--yes"],
    ):
        whole = [*command, "--app", "shop"]
        check(command_line.run(whole), (whole, found))
