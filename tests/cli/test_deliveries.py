"""``aldis deliveries``: to look at durable deliveries, and to tend them."""

import json
import os
import re
import shlex
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from aldis.cli.group import aldis
from aldis.durable.facts import Failure, NewDelivery, State
from aldis.durable.sql.schema import upgrade
from aldis.durable.sql.store import SqlStore
from tests.cli.durable_shop import write_shop
from tests.cli.support import ALDIS, PYTHON
from tests.cli.test_documentation import PAGE, keys_in
from tests.durable.sql.databases import DATABASES, database

LEASE = "1" * 32


class Office:
    """Deliveries in a database, and the command on it, in this process."""

    def __init__(self, url):
        self.url = url
        self.engine = create_engine(url)
        upgrade(self.engine)
        self.store = SqlStore(self.engine)
        self.store.enlist(LEASE, "quay-1", 600)

    def add(self, receiver="billing.receipt", count=1, **facts):
        """Record deliveries."""
        new = {"signal": "order_paid", "payload": '{"payload":{"order_id":7}}', **facts}
        for number in range(count):
            number_of = f"{self.store.count_all() + number:032x}"
            self.store.add(None, [NewDelivery(emission_id=number_of, receiver=receiver, **new)])

    def kill(self, receiver="billing.receipt", reason="LookupError: no such lamp", **more):
        """Make a dead letter of everything that waits for a receiver."""
        while claimed := self.store.claim(LEASE, receiver, 500, ordered=False):
            for each in claimed:
                self.store.fail(each, Failure(reason, f"Traceback …\n{reason}\n", **more))

    def run(self, *command, stdin=None):
        """Run ``aldis deliveries`` on the database."""
        return CliRunner().invoke(aldis, ["deliveries", *command, "--url", self.url], input=stdin)

    def json(self, *command):
        """Return what a command writes for programs."""
        ended = self.run(*command, "--json")
        assert 0 == ended.exit_code, ended.output
        return json.loads(ended.stdout)

    def states(self):
        """Return the states of all deliveries, by number."""
        with self.engine.connect() as connection:
            found = connection.scalars(text("SELECT state FROM aldis_deliveries ORDER BY id"))
            return [State(each).name for each in found]


class CountingStore(SqlStore):
    """A store that can count."""

    def count_all(self):
        """Return how many there are."""
        from aldis.durable.facts import Choice

        return self.count(Choice())


@pytest.fixture(params=["sqlite"])
def office(request, tmp_path):
    """Give a database, of SQLite unless a test says otherwise."""
    with database(request.param, tmp_path) as url:
        office = Office(url)
        office.store.__class__ = CountingStore
        yield office
        office.engine.dispose()


everywhere = pytest.mark.parametrize("office", DATABASES, indirect=True)


def said(ended):
    """Return the exit code and the last line on the standard error."""
    return ended.exit_code, (ended.stderr.splitlines() or [""])[-1]


class TestStats:
    @everywhere
    def test_a_table(self, office):
        """By receiver and state, with the age of the oldest that is due, and the workers."""
        office.add(count=2)
        office.kill()
        office.add(count=3)
        office.add("shipping.label")
        office.run("pause", "shipping.label")
        ended = office.run("stats")
        assert 0 == ended.exit_code
        lines = [re.split(r" {2,}", line.strip()) for line in ended.stdout.splitlines()]
        heads = ["pending", "behind", "running", "dead", "done", "discarded", "oldest due"]
        assert ["receiver", *heads] == lines[0]
        assert ["billing.receipt", "3", "0", "0", "2", "0", "0"] == lines[1][:7]
        assert ["shipping.label", "1", "0", "0", "0", "0", "0"] == lines[2][:7]
        assert "paused" == lines[2][-1]
        assert ["all", "4", "0", "0", "2", "0", "0"] == lines[3]
        assert ["workers with a lease: quay-1"] == lines[-1]

    def test_nothing_at_all(self, office):
        """It is said."""
        assert office.run("stats").stdout.startswith("There are no deliveries.\n")

    def test_an_alert(self, office):
        """The exit code is that of something found."""
        office.add(count=3)
        with office.engine.begin() as connection:
            connection.execute(text("UPDATE aldis_deliveries SET due_at = due_at - 3600000000"))
        for command, alert in {
            "--older-than 15m": "alert: the oldest has been due for 1h, more than 15m",
            "--more-than 2": "alert: 3 wait, more than 2",
        }.items():
            ended = office.run("stats", *command.split())
            assert (1, alert) == (ended.exit_code, ended.stdout.splitlines()[-1])
        assert 0 == office.run("stats", "--older-than", "2h", "--more-than", "3").exit_code

    def test_json(self, office):
        """Numbers are numbers."""
        office.add(count=2)
        facts = office.json("stats")
        (receiver,) = facts["receivers"]
        assert ("billing.receipt", 2, 2, 0) == tuple(
            receiver[name] for name in ("receiver", "pending", "waiting", "dead")
        )
        assert 0 <= facts["totals"]["oldest_due"] < 60
        assert ["quay-1"] == [each["name"] for each in facts["workers"]]
        assert [] == facts["alerts"]


class TestLists:
    @everywhere
    def test_dead(self, office):
        """Who, when, how often, and why."""
        office.add(count=2)
        office.kill()
        ended = office.run("dead")
        assert 0 == ended.exit_code
        rows = [re.split(r" {2,}", line.strip()) for line in ended.stdout.splitlines()]
        assert ["id", "receiver", "signal", "recorded", "dead", "attempts", "reason"] == rows[0]
        assert ["1", "billing.receipt", "order_paid"] == rows[1][:3]
        assert ["1", "LookupError: no such lamp"] == rows[1][5:]
        assert 3 == len(rows)

    def test_pending(self, office):
        """Also what waits for its time, for its turn, or to be tried again."""
        office.add(delay=7200.5)
        office.add()
        office.kill(retry_in=600.9)
        office.add(order_key="7", count=2)
        office.store.claim(LEASE, "billing.receipt", 1, ordered=True)
        office.store.claim(LEASE, "billing.receipt", 1, ordered=True)
        lines = office.run("pending").stdout.splitlines()
        assert ["in 2h", "in 10m", "behind its key"] == [
            re.split(r" {2,}", line.strip())[4] for line in lines[1:]
        ]
        assert lines[2].endswith("LookupError: no such lamp")
        assert "  1  quay-1" in office.run("running").stdout

    def test_none(self, office):
        """It is said."""
        for name in ("pending", "running", "dead"):
            assert f"None is {name}.\n" == office.run(name).stdout

    def test_the_limit(self, office):
        """How many more there are is said; the newest can come first."""
        office.add(count=5)
        lines = office.run("pending", "--limit", "2", "--newest-first").stdout.splitlines()
        assert ["5", "4"] == [line.split()[0] for line in lines[1:3]]
        assert "2 of 5; --limit shows more." == lines[-1]

    def test_chosen(self, office):
        """By receiver, signal, time and error; what no option says is no matter."""
        office.add()
        office.kill()
        office.add("shipping.label", signal="order-packed")
        office.kill("shipping.label", "TimeoutError: 100% slow")
        hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

        def ids(*options):
            return [each["id"] for each in office.json("dead", *options)["deliveries"]]

        assert [1, 2] == ids("--since", "1h", "--until", hour)
        assert [1] == ids("--receiver", "billing.receipt")
        assert [2] == ids("--signal", "order-packed")
        assert [2] == ids("--error", "100%")
        assert [1, 2] == ids("--error", "error:")
        assert [] == ids("--since", hour)
        assert [] == ids("--until", "2020-01-01")

    def test_hostile_text(self, office):
        """No terminal takes what is recorded for orders."""
        office.add(payload='"\x1b[31mred"')
        office.kill(reason="Error: \x1b[2J\u202e")
        assert "Error: \\x1b[2J\\u202e\n" in office.run("dead").stdout
        shown = office.run("show", "1").stdout
        assert "\x1b" not in shown
        assert '"\\x1b[31mred"' in shown


class TestShow:
    @everywhere
    def test_everything(self, office):
        """Payload, error, and what has caused it, the first cause first."""
        office.add("orders.place", signal="order-placed")
        office.add("stock.reserve", cause=f"{0:032x}:orders.place")
        office.add(cause=f"{1:032x}:stock.reserve", traceparent="00-ab-cd-01", order_key="7")
        office.kill()
        ended = office.run("show", "3")
        assert 0 == ended.exit_code
        lines = ended.stdout.splitlines()
        assert "delivery 3  dead" == lines[0]
        until = lines.index("")
        facts = dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines[1:until])
        assert ("billing.receipt", "order_paid", "7", "1", "00-ab-cd-01") == tuple(
            facts[name] for name in ("receiver", "signal", "ordered by", "attempts", "traceparent")
        )
        assert f"{2:032x}:billing.receipt" == facts["key"]
        page = ended.stdout
        assert 'payload\n  {\n    "payload": {\n      "order_id": 7\n    }\n  }\n' in page
        assert "failure\n  Traceback …\n  LookupError: no such lamp\n" in page
        assert page.endswith(
            "caused by\n"
            "  1  order-placed → orders.place  pending\n"
            "  └─ 2  order_paid → stock.reserve  pending\n"
            "     └─ 3  order_paid → billing.receipt  dead (this one)\n"
        )
        by_key = office.run("show", f"{2:032x}:billing.receipt")
        assert page.splitlines()[0] == by_key.stdout.splitlines()[0]

    def test_a_cause_that_was_pruned(self, office):
        """What is known of it is its key."""
        office.add(cause=f"{9:032x}:orders.place")
        assert office.run("show", "1").stdout.endswith(
            f"caused by\n  {9:032x}:orders.place (no longer recorded)\n"
            "  └─ 1  order_paid → billing.receipt  pending (this one)\n"
        )

    def test_a_send(self, office):
        """By its id, if it has one delivery; else they are named."""
        new = NewDelivery("a" * 32, "billing.receipt", "order_paid", "{}")
        office.store.add(None, [new])
        assert "delivery 1  pending\n" in office.run("show", "a" * 32).stdout
        office.store.add(None, [NewDelivery("a" * 32, "shipping.label", "order_paid", "{}")])
        assert (
            2,
            (
                "Error: this send has several deliveries; say which: 1 (billing.receipt), "
                "2 (shipping.label)"
            ),
        ) == said(office.run("show", "a" * 32))

    def test_json(self, office):
        """The payload is data."""
        office.add(payload='{"payload":{"order_id":7}}')
        office.kill()
        facts = office.json("show", "1")
        assert {"payload": {"order_id": 7}} == facts["delivery"]["payload"]
        assert [] == facts["causes"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("99", "there is no delivery 99: it may have been pruned"),
            ("9" * 19, f"there is no delivery {'9' * 19}: it may have been pruned"),
            ("f" * 32, f"there is no delivery {'f' * 32}: it may have been pruned"),
            (
                "latest",
                (
                    "'latest' is neither the number of a delivery nor a key, which looks like "
                    "0123456789abcdef0123456789abcdef:billing.receipt"
                ),
            ),
        ],
    )
    def test_unknown(self, office, name, message):
        """A line says so."""
        assert (2, f"Error: {message}") == said(office.run("show", name))


class TestReplay:
    @everywhere
    def test_some(self, office):
        """The others stay as they are."""
        office.add(count=2)
        office.kill()
        office.add("shipping.label")
        office.kill("shipping.label", "TimeoutError")
        ended = office.run("replay", "--error", "timeout")
        assert (0, "1 dead letter replayed.\n") == (ended.exit_code, ended.stdout)
        assert ["DEAD", "DEAD", "PENDING"] == office.states()
        ended = office.run("replay", "--all", "--yes")
        assert "2 dead letters replayed.\n" == ended.stdout

    def test_by_number(self, office):
        """Also what was discarded."""
        office.add(count=3)
        office.kill()
        assert "1 delivery discarded.\n" == office.run("discard", "2").stdout
        assert "2 dead letters replayed.\n" == office.run("replay", "--all", "--yes").stdout
        assert ["PENDING", "DISCARDED", "PENDING"] == office.states()
        assert "1 delivery replayed.\n" == office.run("replay", "2").stdout

    def test_what_was_discarded(self, office):
        """Only when it is asked for."""
        office.add(count=2)
        office.kill()
        office.run("discard", "1")
        ended = office.run("replay", "--discarded", "--receiver", "billing.receipt")
        assert "1 discarded delivery replayed.\n" == ended.stdout
        assert ["PENDING", "DEAD"] == office.states()

    def test_nothing(self, office):
        """There is nothing to ask about."""
        office.add()
        assert "0 dead letters replayed.\n" == office.run("replay", "--all").stdout

    def test_a_dry_run(self, office):
        """Counts, and does not ask."""
        office.add(count=2)
        office.kill()
        ended = office.run("replay", "--all", "--dry-run")
        assert (0, "2 dead letters would be replayed.\n") == (ended.exit_code, ended.stdout)
        assert ["DEAD", "DEAD"] == office.states()

    def test_nobody_to_ask(self, office):
        """Several need a yes."""
        office.add(count=2)
        office.kill()
        message = (
            "Error: to replay 2 dead letters without being asked, say --yes; nothing was changed"
        )
        assert (2, message) == said(office.run("replay", "--all", stdin="y\n"))
        assert ["DEAD", "DEAD"] == office.states()

    def test_json(self, office):
        """How many were chosen and changed."""
        office.add(count=2)
        office.kill()
        assert {
            "schema": "aldis-deliveries-replay/1",
            "chosen": 2,
            "replayed": 2,
            "interrupted": False,
        } == office.json("replay", "--all", "--yes")

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            (
                "",
                (
                    "replay which? Say their numbers, or --receiver, --signal, --since, --until or "
                    "--error, or --all"
                ),
            ),
            ("1 --all", "numbers and --all choose in two ways: leave one out"),
            ("--all --signal x", "--all and --signal choose in two ways: leave one out"),
            ("1 99", "there is no delivery 99: it may have been pruned; nothing was changed"),
            (
                "1 2",
                (
                    "delivery 2 is pending, and only one that is dead or discarded can "
                    "be replayed; "
                    "nothing was changed"
                ),
            ),
            ("one", "Invalid value for '[ID]...': 'one' is not a valid integer range."),
            (
                "--receiver billing.recipt",
                "there is no durable receiver 'billing.recipt'; did you mean 'billing.receipt'?",
            ),
            (
                "--all --since noon",
                (
                    "Invalid value for '--since': 'noon' is no time: write 2026-11-21, "
                    "2026-11-21T10:00 (the machine's own zone), 2026-11-21T10:00Z, or "
                    "12h for twelve "
                    "hours ago."
                ),
            ),
        ],
    )
    def test_mistakes(self, office, command, message):
        """Each has its answer, and nothing is changed."""
        office.add()
        office.kill()
        office.add()
        command = command.replace("--all --since", "--since")
        assert (2, f"Error: {message}") == said(office.run("replay", *command.split()))
        assert ["DEAD", "PENDING"] == office.states()


class TestDiscard:
    def test_dead_letters(self, office):
        """They alone, unless what waits is asked for."""
        office.add(count=2)
        office.kill()
        office.add(count=2)
        ended = office.run("discard", "--receiver", "billing.receipt", "--yes")
        assert "2 dead letters discarded.\n" == ended.stdout
        assert ["DISCARDED", "DISCARDED", "PENDING", "PENDING"] == office.states()
        ended = office.run("discard", "--waiting", "--all", "--yes")
        assert "2 waiting deliveries discarded.\n" == ended.stdout
        assert ["DISCARDED"] * 4 == office.states()

    def test_what_runs(self, office):
        """A worker has it."""
        office.add()
        office.store.claim(LEASE, "billing.receipt", 1, ordered=False)
        assert (
            2,
            (
                "Error: delivery 1 is running, and only one that is pending, suspect, "
                "behind or dead "
                "can be discarded; nothing was changed"
            ),
        ) == said(office.run("discard", "1"))


class TestPause:
    @everywhere
    def test_pause_and_resume(self, office):
        """Twice is said, and no error."""
        office.add()
        for command, answer in [
            ("pause", "is paused"),
            ("pause", "was paused already"),
            ("resume", "goes on"),
            ("resume", "was not paused"),
        ]:
            assert f"billing.receipt {answer}.\n" == office.run(command, "billing.receipt").stdout
        facts = {"schema": "aldis-deliveries-pause/1", "receiver": "billing.receipt"}
        facts |= {"paused": True, "changed": True}
        assert facts == office.json("pause", "billing.receipt")

    def test_unknown(self, office):
        """The closest is named; with --force it is believed."""
        office.add()
        hint = "; --force if it is the name of one to come"
        assert (
            2,
            (
                "Error: there is no durable receiver 'billing.recipt'; did you mean "
                f"'billing.receipt'?{hint}"
            ),
        ) == said(office.run("pause", "billing.recipt"))
        assert (
            "billing.refund is paused.\n" == office.run("pause", "billing.refund", "--force").stdout
        )
        ended = office.run("pause", " ", "--force")
        assert "has 1 to 190 printable characters and no space around them" in ended.stderr


class TestPrune:
    @everywhere
    def test_old_ones(self, office):
        """What was done or discarded; dead letters stay."""
        office.add()
        office.kill()
        office.add(count=3)
        office.store.finish(office.store.claim(LEASE, "billing.receipt", 2, ordered=False))
        ended = office.run("prune", "--older-than", "7d", "--yes")
        assert "0 completed deliveries older than 7d pruned.\n" == ended.stdout
        ended = office.run("prune", "--older-than", "0s", "--dry-run")
        assert "2 completed deliveries older than 0s would be pruned.\n" == ended.stdout
        ended = office.run("prune", "--older-than", "0s", "--yes")
        assert "2 completed deliveries older than 0s pruned.\n" == ended.stdout
        assert ["DEAD", "PENDING"] == office.states()

    def test_asks_about_a_single_one(self, office):
        """What is pruned does not come back."""
        office.add()
        office.store.finish(office.store.claim(LEASE, "billing.receipt", 1, ordered=False))
        assert 2 == office.run("prune", "--older-than", "0s").exit_code
        assert ["DONE"] == office.states()

    @pytest.mark.parametrize(
        ("age", "message"),
        [
            ("7", "'7' is no duration: write 90s, 15m, 12h or 7d."),
            ("-1d", "'-1d' is no duration: write 90s, 15m, 12h or 7d."),
            ("1w", "'1w' is no duration: write 90s, 15m, 12h or 7d."),
            ("40000d", "'40000d' is longer than 100 years."),
        ],
    )
    def test_no_duration(self, office, age, message):
        """A number alone would be a trap."""
        message = f"Error: Invalid value for '--older-than': {message}"
        assert (2, message) == said(office.run("prune", "--older-than", age))


class TestOnATerminal:
    @pytest.fixture
    def dead(self, project):
        """Give a folder with a file that has 1,200 dead letters."""
        write_shop(project)
        with closing(sqlite3.connect(project.folder / "shop.db")) as connection:
            connection.executemany(
                "INSERT INTO aldis_deliveries (emission_id, receiver, signal, payload, state)"
                " VALUES (?, 'billing.receipt', 'order_paid', '{}', 3)",
                [(f"{number:032x}",) for number in range(1200)],
            )
            connection.commit()
        return project

    def command(self, *words):
        """Return a command on the file."""
        return [*ALDIS, "deliveries", *words, "--url", "sqlite:///shop.db"]

    def test_an_answer(self, dead):
        """A no changes nothing; a yes is shown with its progress."""
        words = self.command("replay", "--all")
        line = shlex.join(words)
        code, seen = dead.on_terminal("/bin/sh", "-c", f"exec {line} </dev/null")
        assert (2, True) == (code, "say --yes" in seen)
        script = f"""
            import pty, os, sys
            process, ours = pty.fork()
            if not process:
                os.execvp(sys.executable, {words!r})
            seen = b""
            while b"[y/N]" not in seen:
                seen += os.read(ours, 1000)
            os.write(ours, sys.argv[1].encode() + b"\\n")
            try:
                while chunk := os.read(ours, 1000):
                    seen += chunk
            except OSError:
                pass
            print(seen.decode().replace("\\r", ""))
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        """
        dead.write("answer.py", script)
        ended = dead.run(*PYTHON, "answer.py", "n")
        assert 0 == ended.returncode
        assert "Replay 1,200 dead letters? [y/N]: n\nNothing was changed.\n" in ended.stdout
        ended = dead.run(*PYTHON, "answer.py", "y")
        assert 0 == ended.returncode
        assert "1,200 dead letters replayed.\n" in ended.stdout

    def test_the_app(self, dead):
        """The database is that of its outbox, and its receivers are known."""
        dead.write("more.py", "from shop import *\nfrom receivers import *\ndurable('idle')(print)")
        ended = dead.run(*ALDIS, "deliveries", "pause", "idle", "--app", "more")
        assert (0, "idle is paused.\n") == (ended.returncode, ended.stdout)

    def test_a_reader_that_has_seen_enough(self, dead):
        """Nothing is said of it."""
        line = shlex.join(self.command("dead", "--limit", "1200"))
        ended = dead.run("/bin/sh", "-c", f"{line} | head -n 1")
        assert (0, "") == (ended.returncode, ended.stderr)
        assert ended.stdout.startswith("  id  receiver")

    def test_interrupted(self, dead):
        """What was done stays done and is counted, the rest is as it was."""
        dead.write(
            "slow.py",
            """
            import time
            from aldis.durable.sql.operating import OperatorSide
            from aldis.cli import main

            change = OperatorSide._change

            def slowly(*args, **options):
                for number in change(*args, **options):
                    yield number
                    print("a batch", flush=True)
                    time.sleep(0.5)

            OperatorSide._change = slowly
            main()
            """,
        )
        words = self.command("replay", "--all", "--yes")[len(ALDIS) :]
        process = dead.start(*PYTHON, "slow.py", *words)
        try:
            assert "a batch\n" == process.stdout.readline()
            os.kill(process.pid, signal.SIGINT)
            rest, _ = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait(10)
        last = rest.splitlines()[-1]
        done = re.fullmatch(
            r"Interrupted: ([\d,]+) of 1,200 dead letters are replayed, the others are as they "
            r"were\.",
            last,
        )
        assert done, last
        with closing(sqlite3.connect(dead.folder / "shop.db")) as connection:
            (pending,) = connection.execute(
                "SELECT count(*) FROM aldis_deliveries WHERE state = 0"
            ).fetchone()
        assert (130, int(done[1].replace(",", ""))) == (process.returncode, pending)


class TestRefusals:
    @pytest.mark.parametrize("command", ["stats", "dead", "replay --all", "prune --older-than 1d"])
    def test_a_server_that_does_not_answer(self, command):
        """Without the password."""
        url = "postgresql+psycopg://me:secret@127.0.0.1:1/shop"
        ended = CliRunner().invoke(aldis, ["deliveries", *command.split(), "--url", url])
        assert 2 == ended.exit_code
        assert ended.stderr.startswith(
            "Error: the database postgresql+psycopg://me:***@127.0.0.1:1/shop cannot be reached: "
        )
        assert "secret" not in ended.stderr

    def test_an_async_driver(self, office):
        """It is used as any other."""
        pytest.importorskip("aiosqlite")
        office.add(count=2)
        office.kill()
        office.url = office.url.replace("sqlite:", "sqlite+aiosqlite:")
        assert 2 == office.json("dead")["total"]
        assert "2 dead letters replayed.\n" == office.run("replay", "--all", "--yes").stdout

    def test_a_read_only_file(self, office):
        """Looking is possible, changing is refused."""
        office.add(count=2)
        office.kill()
        path = office.engine.url.database
        office.url = f"sqlite:///file:{path}?mode=ro&uri=true"
        assert 2 == office.json("dead")["total"]
        assert (
            2,
            (
                "Error: the outbox's database cannot be written to, it is read-only "
                "(attempt to write "
                "a readonly database); nothing was changed"
            ),
        ) == said(office.run("replay", "--all", "--yes"))

    def test_a_locked_file(self, office):
        """What to do is said."""
        office.add()
        office.kill()
        with closing(sqlite3.connect(office.engine.url.database)) as other:
            other.execute("BEGIN IMMEDIATE")
            office.url += "?timeout=0.1"
            code, message = said(office.run("replay", "1"))
        assert 2 == code
        assert message.startswith("Error: the outbox's database is locked by another connection;")

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            (
                "sqlite://",
                (
                    "Error: an SQLite database in memory is seen by the process of the app alone: "
                    "name a file, as in sqlite:///shop.db"
                ),
            ),
            ("sqlite:///no.db", "Error: there is no file 'no.db': `aldis db upgrade` creates it"),
        ],
    )
    def test_no_database(self, url, message):
        """Nothing is created."""
        ended = CliRunner().invoke(aldis, ["deliveries", "stats", "--url", url])
        assert (2, message) == said(ended)

    def test_no_tables(self, tmp_path):
        """The remedy is named."""
        (tmp_path / "shop.db").touch()
        url = f"sqlite:///{tmp_path}/shop.db"
        code, message = said(CliRunner().invoke(aldis, ["deliveries", "stats", "--url", url]))
        assert 2 == code
        assert message.startswith("Error: the tables aldis_* are missing: run `aldis db upgrade`")

    def test_two_databases(self, office):
        """One of them has to be left out."""
        ended = office.run("stats", "--app", "shop")
        message = "Error: --app and --url both name a database: leave one out"
        assert (2, message) == said(ended)

    def test_a_missing_extra(self, project):
        """The extra is named."""
        project.write(
            "without.py",
            """
            import sys

            class Without:
                @staticmethod
                def find_spec(name, *_):
                    if name == "sqlalchemy":
                        raise ModuleNotFoundError("No module named sqlalchemy", name=name)

            sys.meta_path.insert(0, Without)
            from aldis.cli import main
            main()
            """,
        )
        ended = project.run(*PYTHON, "without.py", "deliveries", "stats", "--url", "sqlite:///x")
        assert (2, 1) == (ended.returncode, ended.stderr.count("\n"))
        assert ended.stderr.endswith("which is not installed: pip install 'aldis[durable]'\n")


@pytest.mark.parametrize(
    "command",
    ["stats", "dead", "show 2", "replay 1", "discard 3", "prune --older-than 1d", "pause a"],
)
def test_every_key_of_the_json_is_documented(office, command):
    """Below the schema's name, or where that refers to."""
    office.add("a", count=3)
    office.kill("a")
    office.store.add(None, [NewDelivery("b" * 32, "b", "s", "{}", cause=f"{0:032x}:a")])
    facts = office.json(*command.split())
    section = PAGE.partition("### `aldis-deliveries-stats/1`")[2].partition("\n## ")[0]
    assert f"`{facts['schema']}`" in PAGE
    facts.get("delivery", {}).pop("payload", None)
    documented = set(re.findall(r"`(\w+)`", section)) | {"schema", "payload"}
    assert keys_in(facts) <= documented
