"""``aldis check`` reports problems with an app's durable deliveries."""

import json
import re
import sqlite3
from contextlib import closing

import pytest

from tests.cli.durable_shop import write_shop
from tests.cli.support import ALDIS


@pytest.fixture
def shop(project):
    """Give a folder with the shop and its tables."""
    write_shop(project)
    return project


def check(project, app="shop", *more, **environ):
    """Run ``aldis check``."""
    return project.run(*ALDIS, "check", "--app", app, *more, **environ)


def rows(project, *statements):
    """Run SQL statements on the shop's database."""
    with closing(sqlite3.connect(project.folder / "shop.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def insert(receiver, state):
    """Return the SQL that inserts a delivery in a state. It has been due for a long time."""
    return (
        "INSERT INTO aldis_deliveries (emission_id, receiver, signal, payload, state, due_at)"  # noqa: S608 - the values come from this test
        f" VALUES ('e', '{receiver}', 'order_paid', '{{}}', {state}, 0)"
    )


def found(ended):
    """Return the exit code and the findings about deliveries."""
    lines = ended.stdout.splitlines()
    assert "durable deliveries" == lines[0]
    return ended.returncode, [line.strip() for line in lines[1 : lines.index("")]]


def test_without_problems_the_exit_code_is_0(shop):
    """The output is one line."""
    ended = check(shop)
    assert (0, "") == (ended.returncode, ended.stderr)
    assert ended.stdout.startswith("Nothing is wrong in ")


def test_unknown_receivers_and_dead_letters_are_problems(shop):
    """Deliveries that have ended are not problems."""
    rows(
        shop,
        insert("billing.recipt", 0),
        insert("billing.recipt", 3),
        insert("gone", 2),
        insert("billing.receipt", 3),
    )
    code, lines = found(check(shop))
    assert 1 == code
    assert [
        (
            "wrong: 1 dead letter of 'billing.receipt': aldis deliveries dead --receiver "
            "billing.receipt"
        ),
        (
            "wrong: deliveries wait for durable receiver 'billing.recipt', which the app does not "
            "have (1 pending, 1 dead): connect it, add its name to its successor's aliases, or "
            "discard them; is 'billing.receipt' its new name?"
        ),
    ] == lines[:2]
    assert re.fullmatch(
        r"remark: a delivery has been due for \d+d, and no worker has a lease", lines[2]
    )


def waiting(payload, number):
    """Return the statement that records a waiting delivery with a payload."""
    return (
        "INSERT INTO aldis_deliveries (id, emission_id, receiver, signal, payload, due_at)"  # noqa: S608 - ours
        f" VALUES ({number}, 'e{number}', 'billing.receipt', 'order_paid', '{payload}',"
        " 4000000000000000)"
    )


FITTING = '{"sender":"harbour","payload":{"order_id":7}}'
RENAMED = '{"sender":"harbour","payload":{"order":7}}'


def test_payloads_that_do_not_fit(shop):
    """A waiting payload of an earlier contract is a problem; one that fits is not."""
    rows(
        shop,
        "INSERT INTO aldis_receivers (receiver) VALUES ('billing.receipt')",
        waiting(FITTING, 1),
    )
    assert 0 == check(shop).returncode
    rows(shop, waiting(RENAMED, 2), waiting('{"x', 3), waiting(FITTING, 4))
    code, (line,) = found(check(shop))
    assert 1 == code
    assert line.startswith("wrong: waiting delivery 2: the payload of signal 'order_paid'")
    assert "does not fit" in line
    assert "give durable an upgrade= function" in line
    assert line.endswith("; 1 more")


def test_payloads_that_an_upgrade_repairs(shop):
    """A payload that ``upgrade=`` can convert fits."""
    source = (shop.folder / "receivers.py").read_text()
    upgrade = "upgrade=lambda old: {'order_id': old['order']}, retry="
    shop.write("receivers.py", source.replace("retry=", upgrade))
    rows(
        shop,
        "INSERT INTO aldis_receivers (receiver) VALUES ('billing.receipt')",
        waiting(RENAMED, 2),
    )
    assert 0 == check(shop).returncode


def test_receivers_that_no_worker_serves(shop):
    """Deliveries wait for a receiver: it is a problem if workers serve others but not this one."""
    rows(shop, waiting(FITTING, 1))
    expected = (
        "1 delivery of 'billing.receipt' waits, and no worker has served it so far: start a worker "
        "of this release that serves it"
    )
    assert (0, [f"remark: {expected}"]) == found(check(shop))
    rows(shop, "INSERT INTO aldis_receivers (receiver) VALUES ('shipping.label')")
    assert (1, [f"wrong: {expected}"]) == found(check(shop))
    rows(
        shop,
        "INSERT INTO aldis_receivers (receiver, seen_at) VALUES ('billing.receipt',"
        " (SELECT seen_at - 7260000000 FROM aldis_receivers))",
    )
    code, (line,) = found(check(shop))
    assert (1, True) == (code, "no worker has served it for 2h" in line)
    rows(shop, "UPDATE aldis_receivers SET seen_at = seen_at + 7200000000")
    assert 0 == check(shop).returncode


def test_a_paused_receiver_and_a_missing_write_ahead_log_are_remarks(shop):
    """Remarks do not change the exit code."""
    rows(
        shop,
        "PRAGMA journal_mode=delete",
        "INSERT INTO aldis_paused (receiver) VALUES ('billing.receipt')",
    )
    assert (
        0,
        [
            (
                "remark: this SQLite file has no write-ahead log, so workers and the app wait "
                "for each other; turn it on: aldis db upgrade --wal"
            ),
            "remark: durable receiver 'billing.receipt' is paused",
        ],
    ) == found(check(shop))


def test_a_durable_receiver_that_is_not_connected(shop):
    """The finding explains that no delivery is recorded for the receiver."""
    shop.write("more.py", "from shop import *\nfrom receivers import *\ndurable('idle')(print)")
    ended = check(shop, "more", "--json")
    facts = {
        "about": "deliveries",
        "namespace": None,
        "signal": None,
        "problem": (
            "durable receiver 'idle' (print) is not connected to any signal, so nothing is "
            "recorded for it"
        ),
        "remark": False,
        "closest": None,
    }
    assert {"schema": "aldis-check/1", "ok": False, "findings": [facts]} == json.loads(ended.stdout)
    assert 1 == ended.returncode


def test_durable_receivers_without_an_outbox(shop):
    """Durable receivers in an app without an outbox are a problem."""
    shop.write("bare.py", "from receivers import *\nfrom flask import Flask\napp = Flask('bare')")
    code, (line,) = found(check(shop, "bare"))
    assert 1 == code
    assert line.startswith(
        "wrong: there are durable receivers, but the app <Flask 'bare'> has no outbox: give it one"
    )


def test_an_app_without_durable_receivers_and_outbox(shop):
    """An app without durable receivers needs no outbox."""
    shop.write("bare.py", "from flask import Flask\napp = Flask('bare')")
    assert 0 == check(shop, "bare").returncode


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite:///no.db", "no.db' does not exist: `aldis db upgrade` creates it"),
        ("sqlite://", "wrong: an SQLite database in memory is visible in one process only"),
    ],
)
def test_a_missing_file_or_a_database_in_memory(shop, url, problem):
    """The finding names the remedy."""
    code, (line,) = found(check(shop, SHOP_URL=url))
    assert (1, True) == (code, problem in line)


def test_missing_tables(shop):
    """The finding names the command that creates the tables."""
    rows(shop, *(f"DROP TABLE aldis_{each}" for each in ("deliveries", "paused", "version")))
    code, (line,) = found(check(shop))
    assert 1 == code
    assert "lack table aldis_deliveries, table aldis_paused: autogenerate" in line


def test_a_server_that_does_not_answer(shop):
    """If the server does not answer, the exit code is 2. It is 1 for findings."""
    ended = check(shop, SHOP_URL="postgresql+psycopg://me:secret@127.0.0.1:1/shop")
    assert (2, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith("Error: the database postgresql+psycopg://me:***@127.0.0.1:1/")
