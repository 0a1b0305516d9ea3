"""Several processes that create the tables, and one that is interrupted."""

import signal
import subprocess
import sys
import threading

import pytest
from sqlalchemy import inspect

from aldis.durable.store.sql import migrate

pytestmark = pytest.mark.slow

UPGRADE = """
    import sys
    from sqlalchemy import create_engine, event
    from aldis.durable.store.sql.migrate import upgrade

    engine = create_engine(sys.argv[1])

    @event.listens_for(engine, "before_cursor_execute")
    def tell(connection, cursor, statement, *_):
        if statement.startswith("CREATE INDEX ix_aldis_deliveries_worker") and len(sys.argv) > 2:
            print("half", flush=True)
            sys.stdin.readline()

    sys.stdin.readline()
    print(upgrade(engine), flush=True)
"""


def start(url, *arguments):
    """Start a process that waits for a line, and then upgrades; with an argument, it stops half."""
    code = "\n".join(line.removeprefix("    ") for line in UPGRADE.splitlines())
    return subprocess.Popen(
        [sys.executable, "-c", code, url, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestProcesses:
    def test_several_at_once(self, url, engine):
        """Of four processes one creates the tables; the others wait, and find them."""
        processes = [start(url) for _ in range(4)]
        for each in processes:
            each.stdin.write("go\n")
            each.stdin.flush()
        ended = [each.communicate(timeout=60) for each in processes]

        assert [""] * 4 == [errors for _, errors in ended]
        assert ["['0001']\n", "[]\n", "[]\n", "[]\n"] == sorted(out for out, _ in ended)
        migrate.check(engine)

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
    def test_interrupted(self, url, engine, how):
        """Ctrl-C, or the end, in the middle: the next one goes on, and has all."""
        half = start(url, "half")
        half.stdin.write("go\n")
        half.stdin.flush()
        assert "half\n" == half.stdout.readline()
        half.send_signal(how)
        half.communicate(timeout=60)

        assert ["0001"] == migrate.upgrade(engine)
        migrate.check(engine)
        names = [index["name"] for index in inspect(engine).get_indexes("aldis_deliveries")]
        assert {
            f"ix_aldis_deliveries_{end}" for end in ("ready", "chain", "worker", "ended")
        } == set(names)

    def test_one_that_waits_for_another(self, url, engine):
        """One that comes while another is in the middle waits for it."""
        first = start(url, "half")
        first.stdin.write("go\n")
        first.stdin.flush()
        assert "half\n" == first.stdout.readline()
        done = []
        second = threading.Thread(target=lambda: done.append(migrate.upgrade(engine)))
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert ("['0001']\n", "") == first.communicate("go\n", timeout=60)
        second.join(60)
        assert [[]] == done
