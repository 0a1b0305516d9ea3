"""``aldis deliveries`` in a separate process: questions, pipes and Ctrl-C."""

import os
import re
import shlex
import signal
import sqlite3
from contextlib import closing

import pytest

from tests.cli.durable_shop import write_shop
from tests.cli.support import ALDIS, PYTHON


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

    def test_answers_to_the_question(self, dead):
        """No changes nothing. Yes shows the progress. Without an input, the command fails."""
        words = self.command("replay", "--all")
        code, seen = dead.on_terminal(*words, typed=False)
        assert (2, True) == (code, "add --yes" in seen)
        code, seen = dead.on_terminal(*words, answer="n")
        assert 0 == code
        assert "Replay 1,200 dead letters? [y/N]: n\nNothing was changed.\n" in seen
        code, seen = dead.on_terminal(*words, answer="y")
        assert 0 == code
        assert "1,200 dead letters replayed.\n" in seen

    def test_the_app(self, dead):
        """The command uses the database of the app's outbox and knows the app's receivers."""
        dead.write("more.py", "from shop import *\nfrom receivers import *\ndurable('idle')(print)")
        ended = dead.run(*ALDIS, "deliveries", "pause", "idle", "--app", "more")
        assert (0, "idle is paused.\n") == (ended.returncode, ended.stdout)

    def test_a_reader_that_stops_early(self, dead):
        """The command ends quietly if its reader stops early."""
        line = shlex.join(self.command("dead", "--limit", "1200"))
        ended = dead.run("/bin/sh", "-c", f"{line} | head -n 1")
        assert (0, "") == (ended.returncode, ended.stderr)
        assert ended.stdout.startswith("  id  receiver")

    def test_interrupted(self, dead):
        """Ctrl-C keeps the finished batches and counts them."""
        dead.write(
            "slow.py",
            """
            import time
            from aldis.durable.store.sql.store import SqlStore
            from aldis.cli import main

            replay = SqlStore.replay

            def slowly(*args, **options):
                for number in replay(*args, **options):
                    yield number
                    print("a batch", flush=True)
                    time.sleep(0.5)

            SqlStore.replay = slowly
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
            r"Interrupted: ([\d,]+) of 1,200 dead letters are replayed, the others are unchanged\.",
            last,
        )
        assert done, last
        with closing(sqlite3.connect(dead.folder / "shop.db")) as connection:
            (pending,) = connection.execute(
                "SELECT count(*) FROM aldis_deliveries WHERE state = 0"
            ).fetchone()
        assert (130, int(done[1].replace(",", ""))) == (process.returncode, pending)
