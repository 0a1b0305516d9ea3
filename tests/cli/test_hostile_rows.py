"""``aldis check`` and ``aldis worker`` on rows that another program has written."""

import sqlite3
from contextlib import closing

import pytest

from tests.cli.deliveries.test_hostile_rows import KNOWN, fill
from tests.cli.durable_shop import wait_for, working, write_shop
from tests.cli.support import ALDIS


@pytest.fixture
def shop(project):
    """Give a folder with the shop and its tables."""
    write_shop(project)
    return project


def lines_of(text):
    """Return the lines of an output. Assert that they have no escape sequence."""
    lines = text.split("\n")
    assert all(line.isprintable() for line in lines), text
    return lines


@pytest.mark.parametrize("found", KNOWN.values(), ids=KNOWN)
def test_check(shop, found):
    """The findings have no escape sequences."""
    fill(shop.folder / "shop.db", found)
    for more in ((), ("--json",)):
        ended = shop.run(*ALDIS, "check", "--app", "shop", *more)
        assert (ended.returncode in (0, 1), "") == (True, ended.stderr)
        lines_of(ended.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("found", KNOWN.values(), ids=KNOWN)
def test_worker(shop, found):
    """The worker runs the good delivery after the others. The log has no escape sequences."""
    path = shop.folder / "shop.db"
    good = {"emission_id": "good", "state": 0}
    pending = [{**row, "state": 0} for row in found["deliveries"] if row.get("state") != 99]
    fill(path, {**found, "deliveries": [*found["deliveries"], *pending, good]})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM aldis_paused WHERE receiver = 'billing.receipt'")
        connection.commit()
    with working(shop) as worker:
        wait_for((shop.folder / "done-7").exists)
        code, output = worker.end()
    assert 0 == code
    lines_of(output)
    assert "Traceback" not in output
